"""Boxes, of which HEIC, AVIF and films consist, and the numbers in them.

Source: ISO/IEC 14496-12, section 4.2.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.errors import BadImage, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMS: Final = {1: ">B", 2: ">H", 4: ">I", 8: ">Q"}


class Box(NamedTuple):
    """Where what is inside a box lies; `cut` where the box around it ends before it does."""

    kind: bytes
    start: int
    end: int
    cut: bool


def walk(data: bytes, start: int, end: int, *, whole: bool = True) -> Iterator[Box]:
    """Walk boxes; one that ends behind `end` is cut.

    Args:
        data: the whole file.
        start: the first box.
        end: where the box around them ends.
        whole: whether one that is cut is an error; else it is yielded as far as it goes.
    """
    at = start
    while at + 8 <= end:
        (size,) = struct.unpack_from(">I", data, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        elif size == 0:
            size = end - at
        if size < head:
            raise BadImage(Reason.CORRUPT, "a box in the file is shorter than its header")
        if at + size > end and whole:
            raise BadImage(Reason.CORRUPT, "a box in the file ends after the box that contains it")
        yield Box(data[at + 4 : at + 8], at + head, min(at + size, end), at + size > end)
        at += size


class Reader:
    """Numbers from a box, one behind the other.

    Args:
        data: the whole file.
        at: the first number.
    """

    def __init__(self, data: bytes, at: int) -> None:
        """Start there."""
        self._data = data
        self.at = at

    def number(self, size: int) -> int:
        """A big-endian number of 0, 1, 2, 4 or 8 bytes."""
        if not size:
            return 0
        if size not in _FORMS:
            raise IndexError
        (value,) = struct.unpack_from(_FORMS[size], self._data, self.at)
        self.at += size
        return int(value)
