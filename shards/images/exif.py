"""EXIF orientation: which of the eight ways an image is stored in, and back to upright."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ORDERS: Final = {b"II*\0": "<", b"MM\0*": ">"}
# TIFF's kinds of whole numbers: SHORT, which EXIF asks for, and LONG, which some write.
_NUMBERS: Final = {3: "H", 4: "I"}


def orientation(tiff: bytes) -> int:
    """Find tag 0x0112 in the first directory of a TIFF, which is what EXIF is inside.

    Returns:
        1 to 8; 1 where there is none or it makes no sense.

    Source: EXIF 2.3, section 4.6.4 A; TIFF 6.0, section 2.
    """
    order = _ORDERS.get(tiff[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(at + 2, at + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, entry)
            if tag == 0x0112:
                (value,) = struct.unpack_from(order + _NUMBERS[kind], tiff, entry + 8)
                return value if 1 <= value <= 8 else 1
    except (struct.error, KeyError):  # points outside, or not a number: as good as none
        pass
    return 1


def turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply an EXIF orientation (EXIF 2.3, tag 0x0112).

    Args:
        pixels: shape (H, W, channels).
        orientation: 1 (upright) to 8.

    Returns:
        C-contiguous; shape (W, H, channels) from 5 on.
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

# What each orientation does to a column and a row, counted from the middle.
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
    """The orientation of two, one applied after the other, 1 to 8 each."""
    (a, b), (c, d) = _MATRICES[then - 1]
    (e, f), (g, h) = _MATRICES[first - 1]
    both = (a * e + b * g, a * f + b * h), (c * e + d * g, c * f + d * h)
    return _MATRICES.index(both) + 1


def undone(orientation: int) -> int:
    """The orientation that turns back what another one has turned, 1 to 8."""
    return {6: 8, 8: 6}.get(orientation, orientation)
