"""Images for the tests of thumbnails: no two sides or corners alike; and what PIL makes of them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageOps

MANY = 10**8
"""Of pixels: no limit."""


def drawn(width: int = 310, height: int = 170) -> Image.Image:
    """A slope, with a red corner that tells which side is up."""
    y, x = np.mgrid[0 : 1 : complex(height), 0 : 1 : complex(width)]
    values = np.stack([160 * x, 200 * y, 90 + 80 * x * y], axis=2)
    values[: height // 3, : width // 4] = (250, 10, 30)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    """An image as a file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def turned(orientation: int) -> Image.Exif:
    """EXIF that says nothing but the orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def opened(data: bytes) -> Image.Image:
    """An image as PIL reads it."""
    return Image.open(io.BytesIO(data))


def upright(data: bytes) -> Image.Image:
    """An image as PIL reads it and turns it upright."""
    found = ImageOps.exif_transpose(opened(data)).convert("RGB")
    assert isinstance(found, Image.Image)
    return found


def difference(made: bytes, data: bytes) -> float:
    """Mean difference in levels of 255 between a thumbnail and what PIL makes of all pixels."""
    small = opened(made).convert("RGB")
    want = upright(data).resize(small.size, Image.Resampling.BILINEAR)
    distance = np.asarray(small, np.float64) - np.asarray(want, np.float64)
    return float(np.abs(distance).mean())
