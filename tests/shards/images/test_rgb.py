"""Conversion to RGB: in strips, so that a large image is not in memory several times."""

from __future__ import annotations

import numpy as np
import pytest
from encoded import drawn
from PIL import Image

from shards.images import rgb

MODES = ("1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "La", "RGBa", "I;16")


def _image(mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.arange(70 * 50, dtype=np.uint16).reshape(50, 70) * 18)
    image = drawn(70, 50)
    if mode in ("La", "RGBa"):
        return image.convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    if mode == "LAB":
        return Image.frombytes("LAB", image.size, image.tobytes())
    return image.quantize(16) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize("mode", MODES)
def test_strips_have_the_pixels_of_the_whole(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal to the bit, with a last strip of fewer rows, also of rows longer than a strip."""
    image = _image(mode)
    image.info["transparency"] = 3
    whole = rgb.to_rgb(image)
    if mode in ("L", "RGB", "RGBA", "CMYK", "YCbCr"):
        np.testing.assert_array_equal(whole, np.asarray(image.convert("RGB")))
    for pixels in (70 * 8, 70 * 49, 1):
        monkeypatch.setattr(rgb, "_STRIP_PIXELS", pixels)
        np.testing.assert_array_equal(rgb.to_rgb(image), whole)
    assert whole.flags["C_CONTIGUOUS"]
    assert whole.flags["OWNDATA"]
