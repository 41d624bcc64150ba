"""Draws one image with objects of the 20 drawn classes, and returns their boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shards.synthetic.appearance import LOOKS

if TYPE_CHECKING:
    from collections.abc import Sequence

_TWICE = 0.2
"""Probability that a class has two objects in an image."""
_MIRRORED = 0.5
_STICKS_OUT = 0.1
"""Probability that an object may extend beyond the image."""
_PLACES = 12
"""Positions tried for an object; the one with the least overlap is used."""


@dataclass(frozen=True)
class Thing:
    """One drawn object; the box in pixels, 0-based, end exclusive, clipped to the image."""

    name: str
    box: tuple[int, int, int, int]
    truncated: bool
    difficult: bool


def draw_scene(
    present: Sequence[str],
    difficult: str | None,
    *,
    rng: np.random.Generator,
    width: int,
    height: int,
) -> tuple[Image.Image, list[Thing]]:
    """Draw objects on a background.

    Args:
        present: classes to draw clearly visible, each once or twice.
        difficult: a class to draw once, small and faint; or None.
        rng: determines everything else.
        width: image width, pixels.
        height: image height, pixels.

    Returns:
        The image (RGB) and its objects, in drawing order.
    """
    image = _background(rng, width=width, height=height)
    things: list[Thing] = []
    instances = [name for name in present for _ in range(1 + (rng.random() < _TWICE))]
    for name in instances:
        _add(image, things, name, rng=rng, difficult=False)
    if difficult is not None:
        _add(image, things, difficult, rng=rng, difficult=True)
    return image, things


def _background(rng: np.random.Generator, *, width: int, height: int) -> Image.Image:
    """A gradient between two dull colors, with coarse and fine noise."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    slope = (1 + np.cos(angle) * (2 * x - 1) / 1.5 + np.sin(angle) * (2 * y - 1) / 1.5) / 2
    ends = rng.uniform(60, 190, (2, 1)) + rng.uniform(-22, 22, (2, 3))
    coarse = rng.normal(0, 9, (6, 8)).astype(np.float32)
    clouds = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    pixels = ends[0] + slope[..., None] * (ends[1] - ends[0]) + clouds[..., None]
    pixels = pixels + rng.normal(0, 6, (height, width, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _add(
    image: Image.Image,
    things: list[Thing],
    name: str,
    *,
    rng: np.random.Generator,
    difficult: bool,
) -> None:
    """Draw one object where it overlaps the others least; a difficult one is small and faint."""
    look = LOOKS[name]
    side = min(image.size) * (rng.uniform(0.14, 0.2) if difficult else rng.uniform(0.38, 0.7))
    across = max(4, round(side * look.aspect**0.5))
    down = max(4, round(side / look.aspect**0.5))
    box, truncated = _place(image.size, (across, down), things, rng=rng)
    mask = look.mask(across, down)
    paint = look.paint(across, down, light=rng.uniform(0.8, 1.15))
    if rng.random() < _MIRRORED:
        mask = mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        paint = paint.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if difficult:
        mask = mask.point([round(0.7 * v) for v in range(256)])
    image.paste(paint, (box[0], box[1]), mask)
    inside = (
        max(box[0], 0),
        max(box[1], 0),
        min(box[2], image.width),
        min(box[3], image.height),
    )
    things.append(Thing(name, inside, truncated, difficult))


def _place(
    image: tuple[int, int],
    size: tuple[int, int],
    things: Sequence[Thing],
    *,
    rng: np.random.Generator,
) -> tuple[tuple[int, int, int, int], bool]:
    """Choose a box for an object: one in ten may extend beyond the image by up to a third.

    Returns:
        The box (left, top, right, bottom; may be outside the image) and whether it is truncated.
    """
    play = np.array(image) - np.array(size)
    out = np.array(size) / 3 if rng.random() < _STICKS_OUT else np.zeros(2)
    low, high = np.minimum(-out, play / 2), np.maximum(play + out, play / 2)
    best, least = (0, 0, *size), float("inf")
    for left, top in rng.uniform(low, high, (_PLACES, 2)).round().astype(int).tolist():
        box = (left, top, left + size[0], top + size[1])
        covered = sum(_overlap(box, thing.box) for thing in things)
        if covered < least:
            best, least = box, covered
    sticks_out = best[0] < 0 or best[1] < 0 or best[2] > image[0] or best[3] > image[1]
    return best, sticks_out


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """The intersection of two boxes as a fraction of the second's area."""
    across = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    return across * down / ((b[2] - b[0]) * (b[3] - b[1]))
