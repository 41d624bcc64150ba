"""The first directory of a TIFF: reads its tags, and rewrites it with those that affect pixels.

Source: TIFF 6.0, section 2; libtiff's BigTIFF design for files with 64-bit offsets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from shards.errors import BadImage, Fault, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANES = (
    273,
    274,
    277,
    278,
    279,
    284,
)
COLORS, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 320, 322, 323, 324, 325
INKS, SAMPLE_FORMAT = 332, 339
NEW_SUBFILE_TYPE, DNG_VERSION = 254, 50706

_PIXEL_TAGS: Final = frozenset(
    (
        *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANES, COLORS, INKS),
        *(STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES),
        *(TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES),
        *(266, 292, 293, 317),  # fill order, options of Group 3 and 4, predictor
        338,  # extra samples
        *(347, 512, 513, 514, 515, 517, 518, 519, 520, 521),  # JPEG, new and old style
        *(529, 530, 531, 532),  # YCbCr
    )
)
"""Excluded: the orientation, which is applied here, and the sample format (see `tiff`)."""
_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}
_LONG: Final = 4
_MOST_VALUES: Final = 1024
_BIG: Final = (b"+\0", b"\0+")


class _Entry(NamedTuple):
    """A tag as stored in the directory: 12 bytes, 20 in BigTIFF."""

    kind: int
    numbers: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are stored: byte order, and the sizes of classic TIFF or BigTIFF."""

    order: str
    big: bool

    @property
    def entry(self) -> str:
        return self.order + ("HHQ" if self.big else "HHI")

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def count(self) -> str:
        return self.order + ("Q" if self.big else "H")

    def packed(self, tag: int, count: int, value: bytes) -> bytes:
        """An entry of LONG numbers: their bytes if they fit, else their offset."""
        room = struct.calcsize(self.offset)
        return struct.pack(self.entry, tag, _LONG, count) + value.ljust(room, b"\0")


class Directory:
    """The first directory of a TIFF.

    Args:
        data: the whole file.

    Raises:
        BadImage: TRUNCATED or CORRUPT.
    """

    def __init__(self, data: bytes) -> None:
        """Read the entries; the first one of a repeated tag is used."""
        self._data = data
        self._layout = layout = _Layout("<" if data.startswith(b"II") else ">", data[2:4] in _BIG)
        self._entries: dict[int, _Entry] = {}
        size = struct.calcsize(layout.entry) + struct.calcsize(layout.offset)
        try:
            (at,) = struct.unpack_from(layout.offset, data, 8 if layout.big else 4)
            (count,) = struct.unpack_from(layout.count, data, at)
            at += struct.calcsize(layout.count)
            if at + count * size > len(data):
                raise BadImage(_cut())
            for start in range(at, at + count * size, size):
                tag, kind, numbers = struct.unpack_from(layout.entry, data, start)
                self._entries.setdefault(tag, _Entry(kind, numbers, data[start : start + size]))
        except struct.error as error:
            raise BadImage(_cut()) from error

    def __contains__(self, tag: int) -> bool:
        """Whether the directory has a tag."""
        return tag in self._entries

    @property
    def is_big_endian_bigtiff(self) -> bool:
        """Whether it is the one variant of TIFF that Pillow mistakes for another."""
        return self._layout.big and self._layout.order == ">"

    def values(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The integers of a tag, at most the first 1024; the default if it is missing.

        Raises:
            BadImage: TRUNCATED (they are not in the file), or CORRUPT (not integers).
        """
        entry = self._entries.get(tag)
        if entry is None:
            return default
        if entry.kind not in _NUMBERS:
            raise BadImage(Fault(Reason.CORRUPT, f"TIFF tag {tag} is not an integer"))
        order, letter = self._layout.order, _NUMBERS[entry.kind]
        form = f"{order}{min(entry.numbers, _MOST_VALUES)}{letter}"
        inside = entry.raw[struct.calcsize(self._layout.entry) :]
        if struct.calcsize(order + letter) * entry.numbers <= len(inside):
            return struct.unpack_from(form, inside)
        (at,) = struct.unpack(self._layout.offset, inside)
        try:
            return struct.unpack_from(form, self._data, at)
        except struct.error as error:
            raise BadImage(_cut()) from error

    def array(self, tag: int) -> NDArray[np.int64]:
        """All integers of a tag; empty if it is missing.

        Raises:
            BadImage: as for `values`.
        """
        entry = self._entries.get(tag)
        if entry is None or entry.numbers <= _MOST_VALUES:
            return np.array(self.values(tag), np.uint64).astype(np.int64)
        self.values(tag)  # for its checks
        (at,) = struct.unpack(self._layout.offset, entry.raw[struct.calcsize(self._layout.entry) :])
        form = np.dtype(self._layout.order + _NUMBERS[entry.kind])
        if at + entry.numbers * form.itemsize > len(self._data):
            raise BadImage(_cut())
        return np.frombuffer(self._data, form, entry.numbers, at).astype(np.int64)

    def value(self, tag: int, default: int) -> int:
        """The first integer of a tag, or the default."""
        return (*self.values(tag), default)[0]

    def size(self) -> tuple[int, int]:
        """Width and height as stored, pixels.

        Raises:
            BadImage: CORRUPT.
        """
        width, height = self.value(WIDTH, 0), self.value(HEIGHT, 0)
        if not width or not height:
            raise BadImage(Fault(Reason.CORRUPT, "the TIFF has no width or no height"))
        return width, height

    def rewritten(self, changed: Mapping[int, Sequence[int] | NDArray[np.int64]]) -> bytes:
        """The file with a single directory, which has only the tags that affect pixels.

        Args:
            changed: tags to set, with 32-bit values. All other data that the tags refer to must
                lie inside the file: the new directory is appended at its end.
        """
        layout, data = self._layout, self._data
        start = len(data) + len(data) % 2
        entries = {tag: one.raw for tag, one in self._entries.items() if tag in _PIXEL_TAGS}
        arrays = b""
        for tag, values in changed.items():
            value = np.asarray(values).astype(layout.order + "u4").tobytes()
            if len(value) > struct.calcsize(layout.offset):
                value, at = struct.pack(layout.offset, start + len(arrays)), value
                arrays += at
            entries[tag] = layout.packed(tag, len(values), value)
        kept = b"".join(raw for _, raw in sorted(entries.items()))
        directory = struct.pack(layout.count, len(entries)) + kept
        head = data[:8] if layout.big else data[:4]
        if not layout.big and start + len(arrays) + len(directory) >= 1 << 32:
            raise BadImage(Fault(Reason.CORRUPT, "the TIFF is larger than its offsets can address"))
        return b"".join(
            (
                head,
                struct.pack(layout.offset, start + len(arrays)),
                memoryview(data)[len(head) + struct.calcsize(layout.offset) :],
                bytes(start - len(data)),
                arrays,
                directory,
                struct.pack(layout.offset, 0),
            )
        )


def _cut() -> Fault:
    return Fault(Reason.TRUNCATED, "the TIFF ends before its directory")
