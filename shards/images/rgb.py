"""Converts any of Pillow's image modes to three channels of 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shards.errors import BadImage, Fault, Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

SIXTEEN_BITS: Final = 65535
_STRIP_PIXELS: Final = 1 << 20
"""Converted at a time: otherwise the copies would take more memory than the image."""


def to_rgb(
    image: Image.Image, *, highest: int = SIXTEEN_BITS, negative: bool = False
) -> NDArray[np.uint8]:
    """Repeat gray, scale 16 bits to 8, apply palettes, drop alpha.

    Args:
        image: a loaded image.
        highest: the maximum sample value, if gray has more than 8 bits.
        negative: whether that value is black.

    Returns:
        uint8, shape (H, W, 3), C-contiguous.

    Raises:
        BadImage: UNSUPPORTED: 32 bits per sample.
    """
    # For PPM with more than 8 bits, Pillow uses mode I (32 bits) with values scaled to 16 bits.
    deep = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
    if image.mode in ("I", "F") and not deep:
        raise BadImage(Fault(Reason.UNSUPPORTED, "32 bits per sample: no rule for conversion to 8"))
    levels = _levels(highest, negative=negative) if deep else None
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // max(width, 1))
    for top in range(0, height, rows):
        end = min(top + rows, height)
        strip = image if rows >= height else image.crop((0, top, width, end))
        if levels is not None:
            pixels[top:end] = levels[np.asarray(strip)][:, :, None]
        else:
            pixels[top:end] = np.asarray(_in_rgb(strip))
    return pixels


def _in_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("La", "RGBa"):  # premultiplied alpha
        image = image.convert(image.mode.upper())
    return image if image.mode == "RGB" else image.convert("RGB")


def _levels(highest: int, *, negative: bool) -> NDArray[np.uint8]:
    """Return the 8-bit level of each 16-bit sample: shape (65536,)."""
    levels = np.arange(SIXTEEN_BITS + 1, dtype=np.float64).clip(0, highest)
    if negative:
        levels = highest - levels
    return np.rint(levels * (255 / highest)).astype(np.uint8)
