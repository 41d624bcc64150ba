"""How far each loader may be from the PIL reference: the one table, each line with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from vocscore.pipeline.preprocess import Preprocess


@dataclass(frozen=True)
class Tolerance:
    """Gray levels of 255.

    Attributes:
        inner: largest difference of a pixel that is not in the outermost row or column.
        border: largest difference of any pixel.
        mean: mean absolute difference of one image.
    """

    inner: float
    border: float
    mean: float


# Measured on the drawn kinds at 64 and 256 pixels and on 100 photographs at 256.
#
# Decoding: no difference at all between simplejpeg, DALI's CPU decoder and Pillow (all three are
# libjpeg-turbo with its accurate transform and fancy upsampling). The rest is the resize:
# - torch rounds its weights to 16 bits, and rounds between its two passes: 1 level, mean 0.214.
# - DALI computes in floating point and rounds once: 1 level, mean 0.222. At the border its filter
#   repeats the last pixel where Pillow and torch leave the filter's missing part out: 14 levels
#   where a photograph's edge has a hard frame.
_RESIZED_BY_TORCH = Tolerance(inner=1, border=1, mean=0.25)
_RESIZED_BY_DALI = Tolerance(inner=1, border=16, mean=0.25)
# On the GPU nvJPEG decodes, with a transform and a color conversion of its own; a few levels
# where contrasts are hard are its loaders' own expectation. To be narrowed where it is measured.
_DECODED_BY_NVJPEG = Tolerance(inner=16, border=32, mean=1.0)

# Large JPEGs are decoded at an eighth or a quarter on the host, whoever makes the batch, and differ
# from a full decode by what `shards.images.jpeg.reduction` says; measured at the least room that
# its rule leaves, 1.4 to 1.5 pixels for one: 17 levels, mean 1.3, on a mosaic of sharp photographs.
REDUCED = Tolerance(inner=20, border=20, mean=1.4)
# The worst that could be found: stripes from black to white, upright, with the period that a
# block's average misses most (48 levels, mean 22).
REDUCED_STRIPES = Tolerance(inner=50, border=50, mean=24)

# Baseline JPEGs in the usual colors; all others are decoded and resized by the host path.
_INTO_DALI = "jpeg"
_NOT_INTO_DALI = ("jpeg cmyk", "jpeg rgb", "jpeg progressive")


def tolerance(loader: str, kind: str) -> Tolerance:
    """Look up the line for a loader ('host', 'dali cpu' or 'dali cuda') and a kind of image."""
    if loader == "host" or not kind.startswith(_INTO_DALI) or kind in _NOT_INTO_DALI:
        return _RESIZED_BY_TORCH
    return {"dali cpu": _RESIZED_BY_DALI, "dali cuda": _DECODED_BY_NVJPEG}[loader]


def recolored_tolerance(plain: Tolerance, colors: tuple[float, float, float] | None) -> Tolerance:
    """What becomes of a difference when the colors are changed after it.

    Brightness and contrast multiply it. Saturation s takes s of a channel and 1 - s of the gray,
    so at most s + |1 - s| of it. Two roundings add at most 1, on the mean 0.25.
    """
    brightness, contrast, saturation = colors or (1, 1, 1)
    factor = brightness * max(contrast, 1) * (saturation + abs(1 - saturation))
    return Tolerance(
        inner=plain.inner * factor + 1,
        border=plain.border * factor + 1,
        mean=plain.mean * factor + 0.25,
    )


def assert_close(got: np.ndarray, truth: np.ndarray, *, allowed: Tolerance, name: str) -> None:
    """Compare two images: uint8, shape (3, size, size)."""
    difference = np.abs(got.astype(int) - truth.astype(int))
    found = Tolerance(
        inner=float(difference[:, 1:-1, 1:-1].max()),
        border=float(difference.max()),
        mean=float(difference.mean()),
    )
    fits = (
        found.inner <= allowed.inner
        and found.border <= allowed.border
        and found.mean <= allowed.mean
    )
    assert fits, f"{name}: {found} exceeds {allowed}"


# Bicubic weights are negative in part: results beyond 0 and 255 are cut. Pillow and torch cut (and
# round) after each of the two passes, DALI once; beside hard edges that is up to 15 levels.
# Measured on the drawn kinds, the odd files and photographs at 64 to 96 pixels.
_BICUBIC_BY_TORCH = Tolerance(inner=2, border=2, mean=0.3)
_BICUBIC_BY_DALI = Tolerance(inner=18, border=24, mean=0.3)
# Two rows that become many: everything is near the border (see above).
_BICUBIC_OF_TWO_ROWS = Tolerance(inner=18, border=24, mean=1.5)
# Not measured yet: the sum of what nvJPEG and the filter add.
_BICUBIC_BY_NVJPEG = Tolerance(inner=34, border=56, mean=2.5)
FITTED_REDUCED = Tolerance(inner=24, border=32, mean=1.6)


def fitted_tolerance(loader: str, kind: str, preprocess: Preprocess) -> Tolerance:
    """Look up the line for a fit and an interpolation, besides loader and kind; see `tolerance`."""
    found = tolerance(loader, kind)
    if preprocess.interpolation == "bicubic":
        if found == _RESIZED_BY_TORCH:
            found = _BICUBIC_BY_TORCH
        elif found == _RESIZED_BY_DALI:
            found = _BICUBIC_OF_TWO_ROWS if kind == "jpeg 3000x2" else _BICUBIC_BY_DALI
        else:
            found = _BICUBIC_BY_NVJPEG
    # The border of a padded image is not the border of the square.
    return replace(found, inner=found.border) if preprocess.fit == "pad" else found
