"""Random crops, flips and colors for training: drawn here by row, carried out by the loaders.

What is drawn for an image depends on the seed, the epoch and the image's row, and on nothing
else: not on batches, threads, ranks, the loader, or what was drawn before. So the loaders agree,
and a training that was stopped goes on with the very same images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

_RATIOS: Final = (3 / 4, 4 / 3)
"""Width to height of a crop, in the image's own pixels; torchvision's default."""
_TRIES: Final = 10
_NUMBERS: Final = 2 * _TRIES + 6
"""A row's: an area and a ratio for each try, down, right, flip, three for colors."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may be done to a training image.

    Attributes:
        crop_scale: the smallest crop's share of an image's area, above 0; at 1 nothing is cropped.
        flip: probability, 0 to 1, of mirroring left and right.
        jitter: brightness, contrast and saturation are each multiplied by a factor from 1 - jitter
            to 1 + jitter; 0 to 1, and 0 leaves colors alone.
    """

    crop_scale: float = 1.0
    flip: float = 0.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no image can be drawn by."""
        if not (0 < self.crop_scale <= 1 and 0 <= self.flip <= 1 and 0 <= self.jitter <= 1):
            raise ValueError(f"crop_scale is in (0, 1], flip and jitter in [0, 1], got {self}")

    @property
    def crops(self) -> bool:
        """Whether images are cropped at all."""
        return self.crop_scale < 1


_NOTHING: Final = Augmentation()


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of an image, pixels."""

    top: int
    left: int
    height: int
    width: int

    def stored(self, orientation: int, *, width: int, height: int) -> Box:
        """Where the box lies in the image as it is stored, before EXIF turns it.

        Args:
            orientation: by EXIF, 1 to 8 (EXIF 2.3, tag 0x0112).
            width: of the stored image, pixels.
            height: likewise.
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
        shares: of the image's area, for each try.
        ratios: width to height, for each try.
        place: how far down and how far right, of what is possible; 0 up to 1.
    """

    shares: tuple[float, ...]
    ratios: tuple[float, ...]
    place: tuple[float, float]

    def box(self, width: int, height: int) -> Box:
        """The crop from an upright image of this size, pixels.

        Of the tries the first that fits; else the largest crop in the middle whose ratio is
        allowed. Source: `RandomResizedCrop.get_params` of torchvision 0.29 (after Szegedy et al.,
        2015, Going Deeper with Convolutions), whose distribution this is.
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
    """How one image is looked at: cropped, then resized, mirrored, and recolored.

    Attributes:
        crop: None for all of the image.
        mirrored: left and right change places.
        colors: factors of brightness, contrast and saturation (`color.py`); None: as they are.
    """

    crop: Crop | None
    mirrored: bool
    colors: tuple[float, float, float] | None

    def turned(self, orientation: int) -> int:
        """The EXIF orientation (1 to 8) that turns a stored image upright, and mirrors it."""
        return ((orientation - 1) ^ 1) + 1 if self.mirrored else orientation


AS_IT_IS: Final = View(None, mirrored=False, colors=None)


@dataclass(frozen=True, slots=True)
class Views:
    """How every image of an epoch is looked at.

    Attributes:
        augmentation: what may be done.
        seed: not below 0.
        epoch: likewise.
    """

    augmentation: Augmentation
    seed: int
    epoch: int

    def of(self, row: int) -> View:
        """Draw one row's; the same at any time and in any thread."""
        if self.augmentation == _NOTHING:
            return AS_IT_IS
        # Always all numbers, so that one setting does not change what is drawn for another.
        # A spawn key sets rows apart from each other and from whoever else uses (seed, epoch).
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
