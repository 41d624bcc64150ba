"""Converts any of Pillow's image modes to three channels of 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shards.errors import BadImage, Fault, Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

SIXTEEN_BITS: Final = 65535


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
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        gray = _eight_bits(np.asarray(image), highest, negative=negative)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise BadImage(Fault(Reason.UNSUPPORTED, "32 bits per sample: no rule for conversion to 8"))
    if image.mode in ("La", "RGBa"):  # premultiplied alpha
        image = image.convert(image.mode.upper())
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _eight_bits(samples: NDArray[np.uint16], highest: int, *, negative: bool) -> NDArray[np.uint8]:
    """Scale and round with a lookup table, which needs less memory than computing."""
    levels = np.arange(SIXTEEN_BITS + 1, dtype=np.float64).clip(0, highest)
    if negative:
        levels = highest - levels
    return np.rint(levels * (255 / highest)).astype(np.uint8)[samples]
