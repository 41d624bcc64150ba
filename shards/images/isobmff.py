"""The boxes of HEIC and AVIF: image size, orientation, and whether the file is complete.

libheif silently fills missing tiles with gray, and turns the image upright unconditionally.

Source: ISO/IEC 14496-12 (boxes, `meta`, `iloc`), ISO/IEC 23008-12 (`ispe`, `irot`, `imir`, `grid`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shards.errors import BadImage, Fault, Reason
from shards.images import exif
from shards.images.boxes import Box, Reader, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEEDED: Final = (b"meta", b"mdat", b"moov")
"""Boxes that must be complete; cameras append others, in formats of their own."""
_MOST_ITEMS: Final = 1 << 16
_CLOCKWISE: Final = (1, 8, 3, 6)
"""The EXIF orientation equal to `irot`, by its number of counterclockwise quarter turns."""
_MIRRORED: Final = (4, 2)
"""The EXIF orientation equal to `imir`: top and bottom exchanged, or left and right."""


@dataclass(frozen=True, slots=True)
class Still:
    """The primary image of a file.

    Attributes:
        width: pixels, as stored, before it is turned upright, without the padding that encoders
            add to fill their blocks.
        height: the same for the height.
        filled: width and height including the padding.
        coded: width and height of the largest image decoded for it: the padded image, one of its
            tiles, or its alpha.
        orientation: the EXIF orientation, 1 to 8, equal to `irot` and `imir`. The file's EXIF is
            ignored: by the standard it is informative only.
    """

    width: int
    height: int
    filled: tuple[int, int]
    coded: tuple[int, int]
    orientation: int


def still(data: bytes) -> Still | None:
    """Read the properties of the primary image.

    Returns:
        None if there is none: a video.

    Raises:
        BadImage: TRUNCATED or CORRUPT: the boxes are cut or invalid, or bytes that the image
            needs are beyond the end of the file.
    """
    try:
        return _Meta(data).still()
    except (struct.error, IndexError) as error:
        raise BadImage(Fault(Reason.CORRUPT, "the file's box structure is invalid")) from error


def without_exif(data: bytes) -> bytes:
    """Rename EXIF items, so that no decoder fails on invalid ones.

    Returns:
        A file of the same length and pixels; the data itself if there is nothing to rename.

    Raises:
        BadImage: as for `still`.
    """
    box = _Meta(data).box(b"iinf")
    if box is None:
        return data
    names = data[box.start : box.end]
    renamed = names.replace(b"Exif", b"free")
    if renamed == names:
        return data
    return b"".join((memoryview(data)[: box.start], renamed, memoryview(data)[box.end :]))


class _Meta:
    """A file's `meta` box."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._boxes: dict[bytes, Box] = {}
        kinds = set()
        for box in walk(data, 0, len(data), whole=False):
            kinds.add(box.kind)
            if box.kind in _NEEDED and box.cut:
                raise BadImage(Fault(Reason.TRUNCATED, "the file ends early"))
            if box.kind == b"meta" and not self._boxes:
                self._boxes = {one.kind: one for one in walk(data, box.start + 4, box.end)}
        if not self._boxes and b"moov" not in kinds:
            raise BadImage(Fault(Reason.CORRUPT, "the file does not describe an image"))

    def box(self, kind: bytes) -> Box | None:
        """One of the boxes inside; None if it is missing."""
        return self._boxes.get(kind)

    def still(self) -> Still | None:
        """The primary image, after checking that its bytes are complete."""
        if b"pitm" not in self._boxes:
            return None
        version, reader = self._full(b"pitm")
        primary = reader.number(2 if version == 0 else 4)
        needed = self._needed(primary)
        self._look_for(needed)
        properties = self._properties()
        sizes = [self._size(properties.get(item, [])) for item in needed]
        orientation = 1
        width, height = filled = self._size(properties.get(primary, []))
        for box in properties.get(primary, []):
            if box.kind == b"clap":
                w, in_w, h, in_h = struct.unpack_from(">IIII", self._data, box.start)
                width, height = min(width, w // max(1, in_w)), min(height, h // max(1, in_h))
            elif box.kind == b"irot":
                orientation = exif.combined(orientation, _CLOCKWISE[self._data[box.start] & 3])
            elif box.kind == b"imir":
                orientation = exif.combined(orientation, _MIRRORED[self._data[box.start] & 1])
        if not width or not height:
            raise BadImage(Fault(Reason.CORRUPT, "the file does not state the size of its image"))
        coded = max(sizes, key=lambda size: size[0] * size[1])
        return Still(width, height, filled, coded, orientation)

    def _size(self, properties: list[Box]) -> tuple[int, int]:
        """Width and height of an item, as coded; 0 and 0 if unknown."""
        for box in properties:
            if box.kind == b"ispe":
                width, height = struct.unpack_from(">II", self._data, box.start + 4)
                return width, height
        return 0, 0

    def _full(self, kind: bytes) -> tuple[int, Reader]:
        """The version of a full box, and a reader of what follows version and flags."""
        start = self._boxes[kind].start
        return self._data[start], Reader(self._data, start + 4)

    def _properties(self) -> dict[int, list[Box]]:
        """The properties of each item, in the order in which they apply."""
        found: dict[int, list[Box]] = {}
        if b"iprp" not in self._boxes:
            return found
        inside = self._boxes[b"iprp"]
        boxes = list(walk(self._data, inside.start, inside.end))
        known = [
            one
            for box in boxes
            if box.kind == b"ipco"
            for one in walk(self._data, box.start, box.end)
        ]
        for box in boxes:
            if box.kind == b"ipma":
                for item, indexes in self._associated(box):
                    here = [known[index - 1] for index in indexes if 1 <= index <= len(known)]
                    found.setdefault(item, []).extend(here)
        return found

    def _associated(self, box: Box) -> Iterator[tuple[int, list[int]]]:
        """Items, each with the 1-based indexes of its properties."""
        version, wide = self._data[box.start], self._data[box.start + 3] & 1
        reader = Reader(self._data, box.start + 4)
        for _ in range(min(reader.number(4), _MOST_ITEMS)):
            item = reader.number(2 if version == 0 else 4)
            indexes = [reader.number(2 if wide else 1) for _ in range(reader.number(1))]
            yield item, [one & (0x7FFF if wide else 0x7F) for one in indexes]

    def _needed(self, primary: int) -> set[int]:
        """The items that an image consists of: itself, its tiles, its alpha."""
        needed, waiting = {primary}, [primary]
        parts = self._parts()
        while waiting:
            for one in parts.get(waiting.pop(), ()):
                if one not in needed:
                    needed.add(one)
                    waiting.append(one)
        return needed

    def _look_for(self, needed: set[int]) -> None:
        """Refuse a file that does not contain all bytes of these items."""
        for item, end in self._ends():
            if item in needed and end > len(self._data):
                raise BadImage(
                    Fault(
                        Reason.TRUNCATED,
                        f"the file ends {end - len(self._data)} bytes before its image does",
                    )
                )

    def _parts(self) -> dict[int, list[int]]:
        """The parts of items (`iref` of type `dimg`), and their auxiliary images (`auxl`)."""
        parts: dict[int, list[int]] = {}
        if b"iref" not in self._boxes:
            return parts
        version, reader = self._full(b"iref")
        size = 2 if version == 0 else 4
        for box in walk(self._data, reader.at, self._boxes[b"iref"].end):
            if box.kind in (b"dimg", b"auxl"):
                inside = Reader(self._data, box.start)
                item = inside.number(size)
                others = [inside.number(size) for _ in range(inside.number(2))]
                if box.kind == b"dimg":
                    parts.setdefault(item, []).extend(others)
                else:
                    for other in others:
                        parts.setdefault(other, []).append(item)
        return parts

    def _ends(self) -> Iterator[tuple[int, int]]:
        """Where the bytes of each item end in the file."""
        if b"iloc" not in self._boxes:
            return
        version, reader = self._full(b"iloc")
        sizes, more = reader.number(1), reader.number(1)
        offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
        index_size = more & 15 if version in (1, 2) else 0
        for _ in range(min(reader.number(2 if version < 2 else 4), _MOST_ITEMS)):
            item = reader.number(2 if version < 2 else 4)
            method = reader.number(2) & 15 if version in (1, 2) else 0
            in_this_file = reader.number(2) == 0
            base = reader.number(base_size)
            extents = reader.number(2)
            if not offset_size and not length_size:
                extents = 0  # extents without sizes carry no information
            for _ in range(extents):
                reader.number(index_size)
                start = base + reader.number(offset_size)
                length = reader.number(length_size)
                if method == 0 and in_this_file:
                    yield item, start + length
