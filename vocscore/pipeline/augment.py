"""Random crops, flips and colors for training: drawn here by row, applied by the loaders.

The draw for an image depends only on the seed, the epoch and the image's row, not on batches,
threads, ranks, the loader, or earlier draws. So the loaders agree, and a resumed training sees the
same images as an uninterrupted one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from vocscore.config.training import AugmentationConfig

_RATIOS: Final = (3 / 4, 4 / 3)
"""Width to height of a crop, in the image's own pixels; torchvision's default."""
_TRIES: Final = 10
_NUMBERS: Final = 2 * _TRIES + 6
"""Random numbers per row: area and ratio of each try, down, right, flip, and three for colors."""


_NOTHING: Final = AugmentationConfig()


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def stored(self, orientation: int, *, width: int, height: int) -> Box:
        """Return the same box in the stored image, before its EXIF orientation is applied.

        Args:
            orientation: EXIF orientation, 1 to 8 (EXIF 2.3, tag 0x0112).
            width: width of the stored image, pixels.
            height: height of the stored image, pixels.
        """
        if orientation >= 5:
            width, height = height, width
        top, left = self.top, self.left
        if orientation in (3, 4, 7, 8):
            top = height - top - self.height
        if orientation in (2, 3, 6, 7):
            left = width - left - self.width
        if orientation >= 5:
            return Box(left, top, self.width, self.height)
        return Box(top, left, self.height, self.width)


@dataclass(frozen=True, slots=True)
class Crop:
    """A crop of an image whose size is not known yet.

    Attributes:
        shares: share of the image's area, for each try.
        ratios: width to height, for each try.
        place: vertical and horizontal position, as a share of the possible range, 0 up to 1.
    """

    shares: tuple[float, ...]
    ratios: tuple[float, ...]
    place: tuple[float, float]

    def box(self, width: int, height: int) -> Box:
        """Return the crop for an upright image of this size, pixels.

        The first try that fits; if none does, the largest centered crop with an allowed ratio.
        Source: same distribution as `RandomResizedCrop.get_params` of torchvision 0.29 (after
        Szegedy et al., 2015, Going Deeper with Convolutions).
        """
        for share, ratio in zip(self.shares, self.ratios, strict=True):
            area = share * width * height
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                down, right = self.place
                return Box(int(down * (height - h + 1)), int(right * (width - w + 1)), h, w)
        narrowest, widest = _RATIOS
        w, h = min(width, round(height * widest)), min(height, round(width / narrowest))
        return Box((height - h) // 2, (width - w) // 2, h, w)


@dataclass(frozen=True, slots=True)
class View:
    """How one image is changed: cropped, then resized, mirrored, and recolored.

    Attributes:
        crop: None for the whole image.
        mirrored: whether left and right are swapped.
        colors: factors of brightness, contrast and saturation (`color.py`); None: unchanged.
    """

    crop: Crop | None
    mirrored: bool
    colors: tuple[float, float, float] | None

    def turned(self, orientation: int) -> int:
        """Return the EXIF orientation (1 to 8) that turns a stored image upright and mirrors it."""
        return ((orientation - 1) ^ 1) + 1 if self.mirrored else orientation


AS_IT_IS: Final = View(None, mirrored=False, colors=None)


@dataclass(frozen=True, slots=True)
class Views:
    """How every image of an epoch is changed.

    Attributes:
        augmentation: the random changes.
        seed: at least 0.
        epoch: at least 0.
    """

    augmentation: AugmentationConfig
    seed: int
    epoch: int

    def of(self, row: int) -> View:
        """Draw the view of one row; the result does not depend on time or thread."""
        if self.augmentation == _NOTHING:
            return AS_IT_IS
        # Always draw all numbers, so that one setting does not change the draws of another.
        # A spawn key separates rows from each other and from other uses of (seed, epoch).
        sequence = np.random.SeedSequence((self.seed, self.epoch), spawn_key=(row,))
        uniform = np.random.default_rng(sequence).random(_NUMBERS).tolist()
        shares, ratios = uniform[:_TRIES], uniform[_TRIES : 2 * _TRIES]
        down, right, flip, *colors = uniform[2 * _TRIES :]
        scale, jitter = self.augmentation.crop_scale, self.augmentation.jitter
        low, high = (math.log(ratio) for ratio in _RATIOS)
        crop = Crop(
            tuple(scale + (1 - scale) * x for x in shares),
            tuple(math.exp(low + (high - low) * x) for x in ratios),
            (down, right),
        )
        brightness, contrast, saturation = (1 + jitter * (2 * x - 1) for x in colors)
        return View(
            crop if self.augmentation.crops else None,
            mirrored=flip < self.augmentation.flip,
            colors=(brightness, contrast, saturation) if jitter else None,
        )
