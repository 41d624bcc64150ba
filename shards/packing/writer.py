"""Pictures into tars: one shard under a temporary name, and a split cut into shards."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from shards import atomic, ustar
from shards.classes import encode
from shards.index import Component, format_index
from shards.manifest import Shard, index_name
from shards.members import DESCRIPTION, LABELS, npy_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shards.packing.prepare import Ready


def describe(picture: Ready) -> bytes:
    r"""Make the .json member: ASCII, keys sorted, equal pictures with equal bytes.

    A byte of a file name that is not UTF-8 stands as the escape of a lone surrogate (`\udcNN`),
    as Python names such files: `os.fsencode` of the parsed path gives the name's bytes back.
    """
    value = {
        "path": picture.sample.path,
        "width": picture.width,
        "height": picture.height,
        "sha256": picture.sha256,
        "labels": picture.sample.present,
        "difficult": picture.sample.difficult,
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


class ShardWriter:
    """One shard on its way to the disk.

    It grows under its name in the folder `stage`; `commit` gives tar and index their place.
    An OSError of any method names the file.
    """

    def __init__(self, stage: Path, name: str, *, classes: Sequence[str]) -> None:
        """Open the tar.

        Args:
            stage: a folder on the file system of the set.
            name: of the tar.
            classes: in column order.
        """
        self.samples = 0
        self._name = name
        self._tar = stage / name
        self._index = stage / index_name(name)
        self._classes = classes
        self._npy_header = npy_header(len(classes))
        self._components: list[tuple[Component, ...]] = []
        self._size = 0
        self._sha256 = hashlib.sha256()
        # Unbuffered: a sample is one write already, and closing a file that has met a full disk
        # must not try to write again.
        self._file = self._tar.open("wb", buffering=0)

    def add(self, picture: Ready, *, key: str) -> None:
        """Append the three members of a sample: picture, labels, description."""
        labels = self._npy_header + encode(picture.sample, self._classes).tobytes()
        size = len(picture.data)
        head = ustar.header(f"{key}.{picture.extension}", size)
        at = self._size + ustar.BLOCK
        components = [Component(picture.extension, at, size, f"{key}.{picture.extension}")]
        tail = [ustar.padding(size)]
        at += size + len(tail[0])
        for extension, data in ((LABELS, labels), (DESCRIPTION, describe(picture))):
            name, size = f"{key}.{extension}", len(data)
            fill = ustar.padding(size)
            tail += (ustar.header(name, size), data, fill)
            components.append(Component(extension, at + ustar.BLOCK, size, name))
            at += ustar.BLOCK + size + len(fill)
        self._write(head, picture.data, b"".join(tail))
        self._components.append(tuple(components))
        self.samples += 1

    def seal(self) -> Shard:
        """Write the end of the archive; nothing can be added from here on."""
        self._write(ustar.end(self._size))
        return Shard(self._name, self.samples, self._size, self._sha256.hexdigest())

    def commit(self, folder: Path) -> None:
        """Bring tar and index to the disk and give them their names in `folder`."""
        with _naming(self._tar):
            os.fsync(self._file.fileno())
            self._file.close()
        with _naming(self._index), self._index.open("wb") as file:
            file.write(format_index(self._components))
            file.flush()
            os.fsync(file.fileno())
        for working in (self._tar, self._index):
            working.replace(folder / working.name)
        atomic.sync_folder(folder)

    def discard(self) -> None:
        """Remove what has been written, as far as the disk lets."""
        with suppress(OSError):
            self._file.close()
            self._tar.unlink(missing_ok=True)
            self._index.unlink(missing_ok=True)

    def _write(self, *parts: bytes) -> None:
        """Append bytes, in one call and without a copy where the system takes them all."""
        size = sum(map(len, parts))
        with _naming(self._tar):
            done = os.writev(self._file.fileno(), parts)
            if done < size:
                left = memoryview(b"".join(parts))[done:]
                while left:
                    left = left[self._file.write(left) :]
        for part in parts:
            self._sha256.update(part)
        self._size += size


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name into an error that comes from its descriptor."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise
