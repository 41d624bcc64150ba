"""`python -m bench.large_drawing FOLDER NAME WIDTH HEIGHT` writes an image for `large_images`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMS: Final[Mapping[str, tuple[str, str, Mapping[str, Any]]]] = {
    "jpeg": ("RGB", "jpg", {}),
    "progressive": ("RGB", "jpg", {"progressive": True, "subsampling": "4:4:4"}),
    "inks": ("CMYK", "jpg", {"progressive": True}),
    "png": ("RGB", "png", {"compress_level": 1}),
    "alpha": ("LA", "png", {"compress_level": 1}),
    "deep": ("I;16", "png", {"compress_level": 1}),
    "lzw": ("RGB", "tif", {"compression": "tiff_lzw"}),
    "fax": ("1", "tif", {"compression": "group4"}),
    "webp": ("RGB", "webp", {"quality": 50, "method": 0}),
    "palette": ("P", "gif", {}),
}
"""Name -> mode, suffix and how it is written."""


def draw(folder: str, name: str, width: int, height: int) -> None:
    """Write an image of squares, whose file is small."""
    mode, suffix, words = FORMS[name]
    squares = np.random.default_rng(0).integers(0, 256, (height // 100, width // 100, 3), np.uint8)
    image = Image.fromarray(squares).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    large = image.resize((width, height), Image.Resampling.NEAREST)
    large.save(f"{folder}/00-{name}-{width}.{suffix}", **words)


if __name__ == "__main__":
    draw(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
