"""Names in a file: listings of any length in bounded memory, the same for every process.

The file holds every name in UTF-8 (surrogate-escaped), each followed by a NUL, which no path
contains. So the SHA-256 hash of the file is the digest of the listing, as `digest_of` computes it.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, Final, overload

import numpy as np

from vocscore.errors import ScoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NAMES_AN_OFFSET: Final = 64
"""One offset in memory for so many names: an eighth of a byte each."""
_NAMES_A_CHUNK: Final = 4096
_PIECE_BYTES: Final = 1 << 20


class FrozenNames(Sequence[str]):
    """The names in a file, read when they are asked for; of each 0.125 bytes are in memory.

    May be used by several threads. Slices are lists.

    Attributes:
        digest: the SHA-256 hash of all names, in hexadecimal.
        bytes: size of the names in the file.
    """

    def __init__(self, file: BinaryIO, index: NameIndex, *, begin: int = 0) -> None:
        """Take over an open file with these names at `begin`; it is closed with this object."""
        self._file = file
        self._begin = begin
        self._offsets = index.offsets
        self._count = index.count
        self.bytes = index.bytes
        self.digest = index.digest()

    def __len__(self) -> int:
        """Return the number of names."""
        return self._count

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        """Read one name, or a list of names."""
        places = range(self._count)[at]
        if isinstance(places, int):
            return self._read(places, places + 1)[0]
        if places.step == 1:
            return self._read(places.start, places.stop)
        return [self._read(place, place + 1)[0] for place in places]

    def __iter__(self) -> Iterator[str]:
        """Read all names, in order."""
        for start in range(0, self._count, _NAMES_A_CHUNK):
            yield from self._read(start, min(start + _NAMES_A_CHUNK, self._count))

    def pieces(self) -> Iterator[bytes]:
        """Read the bytes of the file."""
        for start in range(0, self.bytes, _PIECE_BYTES):
            yield self._bytes(start, min(start + _PIECE_BYTES, self.bytes))

    def _read(self, start: int, stop: int) -> list[str]:
        if start >= stop:
            return []
        block, after = start // _NAMES_AN_OFFSET, -(-stop // _NAMES_AN_OFFSET)
        end = self._offsets[after] if after < len(self._offsets) else self.bytes
        names = split_names(self._bytes(self._offsets[block], end))
        skipped = block * _NAMES_AN_OFFSET
        return names[start - skipped : stop - skipped]

    def _bytes(self, start: int, stop: int) -> bytes:
        pieces = []
        while start < stop:
            piece = os.pread(self._file.fileno(), stop - start, self._begin + start)
            if not piece:
                raise ScoreError("The listing of the inputs was truncated while it was in use.")
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)


class NameIndex:
    """Counts and hashes the bytes of a listing, and notes where names begin.

    Attributes:
        offsets: of every 64th name.
        count: number of names.
        bytes: their size.
    """

    def __init__(self) -> None:
        """Begin with no name."""
        self.offsets = array("Q")
        self.count = 0
        self.bytes = 0
        self._hash = hashlib.sha256()

    def add(self, data: bytes) -> None:
        """Add bytes, which may end within a name."""
        self._hash.update(data)
        if not self.bytes and data:
            self.offsets.append(0)
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 0)
        # A name that ends here as number n (from 1) is followed by the name at offset n.
        first = -(self.count + 1) % _NAMES_AN_OFFSET
        self.offsets.extend((ends[first::_NAMES_AN_OFFSET] + (self.bytes + 1)).tolist())
        self.count += len(ends)
        self.bytes += len(data)

    def digest(self) -> str:
        """Return the hash so far, in hexadecimal."""
        return self._hash.hexdigest()


class NameWriter:
    """Writes names to a file.

    Args:
        file: an open file, at its beginning.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.index = NameIndex()

    def extend(self, names: Sequence[str]) -> None:
        """Write names, in order."""
        for start in range(0, len(names), _NAMES_A_CHUNK):
            self.write(joined_names(names[start : start + _NAMES_A_CHUNK]))

    def write(self, data: bytes) -> None:
        """Write names that are joined already."""
        self.index.add(data)
        self._file.write(data)

    def frozen(self) -> FrozenNames:
        """Return what was written, which must not be added to; the file must be readable, too."""
        self._file.flush()
        return FrozenNames(self._file, self.index)


def joined_names(names: Iterable[str]) -> bytes:
    """Return names as they are stored: each is followed by a NUL."""
    return "".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape")


def split_names(data: bytes) -> list[str]:
    """Return the names in `data`, which ends after a name."""
    return data.decode("utf-8", "surrogateescape").split("\0")[:-1]


def freeze(names: Sequence[str], file: BinaryIO) -> str:
    """Write a listing to a file, which is only written to; return its digest.

    The bytes written are the same wherever the names are held.
    """
    writer = NameWriter(file)
    if isinstance(names, FrozenNames):
        for piece in names.pieces():
            writer.write(piece)
    else:
        writer.extend(names)
    return writer.index.digest()


def open_frozen(file: Path, *, digest: str | None = None) -> FrozenNames:
    """Open a listing that `freeze` wrote. The file may be removed while it is open.

    Args:
        file: the listing, on a local or shared file system.
        digest: what its hash must be; None accepts any.

    Raises:
        ScoreError: the file is incomplete or another one.
        OSError: it cannot be read.
    """
    with ExitStack() as held:
        names = read_frozen(held.enter_context(file.open("rb")), file, digest=digest)
        held.pop_all()  # it stays open
    return names


def read_frozen(opened: BinaryIO, file: Path, *, digest: str | None) -> FrozenNames:
    """Take over an open file at the beginning of its names, as `open_frozen`."""
    begin, index, last = opened.tell(), NameIndex(), b"\0"
    while piece := opened.read(_PIECE_BYTES):
        index.add(piece)
        last = piece[-1:]
    if last != b"\0" or digest not in (None, index.digest()):
        raise ScoreError(f"{file}: an incomplete or changed listing of inputs. Remove it.")
    return FrozenNames(opened, index, begin=begin)
