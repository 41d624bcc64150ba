"""EXIF orientation: which of eight ways an image is stored, and how to turn it upright."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ORDERS: Final = {b"II*\0": "<", b"MM\0*": ">"}
# TIFF's integer types: SHORT, which EXIF requires, and those that some writers use.
_NUMBERS: Final = {3: "H", 4: "I", 8: "h", 9: "i", 13: "I"}


def orientation(tiff: bytes) -> int:
    """Find tag 0x0112 in the first directory of a TIFF, which is the format of EXIF.

    Of several, and of several values, the first one counts, as in Pillow.

    Returns:
        1 to 8; 1 if it is missing or invalid.

    Source: EXIF 2.3, section 4.6.4 A; TIFF 6.0, section 2.
    """
    order = _ORDERS.get(tiff[:4])
    if order is None:
        return 1
    with suppress(struct.error, KeyError):  # points outside, or not a number: treated as missing
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(at + 2, at + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", tiff, entry)
            if tag == 0x0112 and count:
                value = _first_of(count, tiff, entry + 8, order + _NUMBERS[kind])
                return value if 1 <= value <= 8 else 1
    return 1


def _first_of(count: int, tiff: bytes, at: int, form: str) -> int:
    """Read the first value of an entry: from the entry itself, or from where it points to."""
    if count * struct.calcsize(form) > 4:
        (at,) = struct.unpack_from(form[0] + "I", tiff, at)
    value: int = struct.unpack_from(form, tiff, at)[0]
    return value


def turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply an EXIF orientation (EXIF 2.3, tag 0x0112).

    Args:
        pixels: shape (H, W, channels).
        orientation: 1 (upright) to 8.

    Returns:
        C-contiguous; shape (W, H, channels) for orientations 5 to 8.
    """
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


_Matrix = tuple[tuple[int, int], tuple[int, int]]

# The effect of each orientation on (column, row), relative to the center.
_MATRICES: Final[tuple[_Matrix, ...]] = (
    ((1, 0), (0, 1)),
    ((-1, 0), (0, 1)),
    ((-1, 0), (0, -1)),
    ((1, 0), (0, -1)),
    ((0, 1), (1, 0)),
    ((0, -1), (1, 0)),
    ((0, -1), (-1, 0)),
    ((0, 1), (-1, 0)),
)


def combined(first: int, then: int) -> int:
    """The orientation equal to applying `first`, then `then`; each is 1 to 8."""
    (a, b), (c, d) = _MATRICES[then - 1]
    (e, f), (g, h) = _MATRICES[first - 1]
    both = (a * e + b * g, a * f + b * h), (c * e + d * g, c * f + d * h)
    return _MATRICES.index(both) + 1


def undone(orientation: int) -> int:
    """The inverse of an orientation, 1 to 8."""
    return {6: 8, 8: 6}.get(orientation, orientation)
