"""Boxes, the structure of HEIC, AVIF and video files, and the numbers in them.

Source: ISO/IEC 14496-12, section 4.2.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.errors import BadImage, Fault, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMS: Final = {1: ">B", 2: ">H", 4: ">I", 8: ">Q"}


class Box(NamedTuple):
    """Range of a box's contents; `cut` if the enclosing box ends before it does."""

    kind: bytes
    start: int
    end: int
    cut: bool


def walk(data: bytes, start: int, end: int, *, whole: bool = True) -> Iterator[Box]:
    """Walk boxes; one that extends beyond `end` is cut.

    Args:
        data: the whole file.
        start: position of the first box.
        end: where the enclosing box ends.
        whole: whether a cut box is an error; else it is yielded up to `end`.
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
            raise BadImage(Fault(Reason.CORRUPT, "a box in the file is shorter than its header"))
        if at + size > end and whole:
            raise BadImage(
                Fault(Reason.CORRUPT, "a box in the file ends after the box that contains it")
            )
        yield Box(data[at + 4 : at + 8], at + head, min(at + size, end), at + size > end)
        at += size


class Reader:
    """Reads consecutive numbers from a box.

    Args:
        data: the whole file.
        at: position of the first number.
    """

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def number(self, size: int) -> int:
        """Read a big-endian number of 0, 1, 2, 4 or 8 bytes."""
        if not size:
            return 0
        if size not in _FORMS:
            raise IndexError
        (value,) = struct.unpack_from(_FORMS[size], self._data, self.at)
        self.at += size
        return int(value)
