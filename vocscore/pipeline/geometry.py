"""Where the pixels of an image go in the square that the network takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vocscore.pipeline.augment import Box
from vocscore.pipeline.preprocess import FIT_FIELDS

if TYPE_CHECKING:
    from vocscore.pipeline.preprocess import Preprocess

LONGEST: Final = 8
"""Longer sides of a center crop than this many shorter ones are cut to it before the resize: its
cost would have no limit, and the parts that are cut are not in the crop."""


@dataclass(frozen=True, slots=True)
class Placement:
    """An upright image as it is resized, and the part of it that becomes the square.

    Attributes:
        part: what is resized: the whole image, or its middle.
        width: width of the resized part, pixels.
        height: height of the resized part, pixels.
        square: the square in the resized part; outside of it is the pad color.
    """

    part: Box
    width: int
    height: int
    square: Box

    @property
    def is_whole(self) -> bool:
        """Whether the resized part is the square."""
        return (self.square.width, self.square.height) == (self.width, self.height)

    def stored(self, orientation: int, *, width: int, height: int) -> Placement:
        """Return the same for the stored image, before its EXIF orientation is applied.

        Args:
            orientation: EXIF orientation, 1 to 8.
            width: width of the stored image, pixels.
            height: height of the stored image, pixels.
        """
        part = self.part.stored(orientation, width=width, height=height)
        across, down = self.width, self.height
        if orientation >= 5:
            across, down = down, across
        return Placement(
            part, across, down, self.square.stored(orientation, width=across, height=down)
        )


def place(width: int, height: int, preprocess: Preprocess) -> Placement:
    """Place an upright image.

    'crop' is torchvision's `Resize` of the shorter side and `CenterCrop`, with timm's rounding of
    the size before the crop; 'pad' centers the image in a square.

    Args:
        width: width of the upright image, pixels.
        height: height of the upright image, pixels.
        preprocess: its size and fit.
    """
    size = preprocess.size
    whole = Box(0, 0, height, width)
    if preprocess.fit == "crop":
        side = resized_side(preprocess)
        part = _middle(width, height)
        short = min(part.width, part.height)
        across, down = (
            side if length == short else int(side * length / short)
            for length in (part.width, part.height)
        )
        top, left = round((down - size) / 2), round((across - size) / 2)
        return Placement(part, across, down, Box(top, left, size, size))
    if preprocess.fit == "pad":
        longer = max(width, height)
        across, down = (max(1, round(size * length / longer)) for length in (width, height))
        top, left = (size - down) // 2, (size - across) // 2
        return Placement(whole, across, down, Box(-top, -left, size, size))
    return Placement(whole, size, size, Box(0, 0, size, size))


def resized_side(preprocess: Preprocess) -> int:
    """Return the length to which the side that decides the scale is resized, pixels.

    It is each side with fit 'squash', the shorter one with 'crop', and the longer one with 'pad'.
    """
    if preprocess.fit == "crop":
        return math.floor(preprocess.size / preprocess.crop_fraction)
    return preprocess.size


def _middle(width: int, height: int) -> Box:
    most = LONGEST * min(width, height)
    across, down = min(width, most), min(height, most)
    return Box((height - down) // 2, (width - across) // 2, down, across)


def in_words(preprocess: Preprocess) -> str:
    """Return how an image becomes a square, for people who write it in another language."""
    size, how = preprocess.size, f"{preprocess.interpolation}, antialiased"
    if preprocess.fit == "crop":
        side = resized_side(preprocess)
        return (
            f"the shorter side to {side} pixels, keeping the aspect ratio; {how}; then the center, "
            f"{size}x{size} pixels"
        )
    if preprocess.fit == "pad":
        color = ", ".join(map(str, preprocess.pad_color))
        return (
            f"the longer side to {size} pixels, keeping the aspect ratio; {how}; then centered on "
            f"{size}x{size} pixels of the color {color}"
        )
    return f"both sides to {size} pixels, whatever the aspect ratio; {how}"


def steps(preprocess: Preprocess) -> dict[str, Any]:
    """Return the same as values, as far as it differs from 'squash' and 'bilinear'."""
    return {name: value for name, value in preprocess.to_json().items() if name in FIT_FIELDS}
