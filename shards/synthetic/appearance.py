"""Appearance of the 20 drawn classes: each has its own shape, two colors and texture.

A class is recognizable by its colors and by its shape or texture, so that a small network learns
it from a few dozen images, without pretrained weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Color = tuple[int, int, int]
Part = tuple[str, tuple[float, ...]]
"""('poly' | 'disc' | 'hole', coordinates in a unit box): x, y, x, y, ... of a polygon; the
bounding box of an ellipse, filled or cut out."""
Texture = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]
"""(x, y in the unit box) -> where the second color shows."""


def _never(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (x + y) < -1


def _bands(across: float, down: float) -> Texture:
    """Stripes: `across` and `down` are periods per unit box along x and y."""
    return lambda x, y: (x * across + y * down) % 1.0 > 0.5


def _checks(across: float, down: float) -> Texture:
    return lambda x, y: ((x * across % 1.0 > 0.5) ^ (y * down % 1.0 > 0.5)).astype(bool)


def _spots(across: float, down: float, radius: float) -> Texture:
    """Round spots on a grid; `radius` in grid steps."""
    return lambda x, y: (x * across % 1.0 - 0.5) ** 2 + (y * down % 1.0 - 0.5) ** 2 < radius**2


def _beyond(x0: float, y0: float) -> Texture:
    """The second color to the right of x0 or below y0: two-colored objects."""
    return lambda x, y: (x > x0) | (y > y0)


def _frame(border: float) -> Texture:
    return lambda x, y: np.maximum(abs(x - 0.5), abs(y - 0.5)) < 0.5 - border


@dataclass(frozen=True)
class Look:
    """How one class is drawn.

    Attributes:
        aspect: width over height.
        parts: the parts of the shape, in drawing order.
        colors: first and second.
        texture: where the second color shows.
    """

    aspect: float
    parts: tuple[Part, ...]
    colors: tuple[Color, Color]
    texture: Texture = _never

    def mask(self, width: int, height: int) -> Image.Image:
        """The shape: mode L, 255 inside, with soft edges."""
        big = Image.new("L", (2 * width, 2 * height))
        draw = ImageDraw.Draw(big)
        scale = (2 * width - 1, 2 * height - 1)
        for kind, numbers in self.parts:
            points = [v * scale[i % 2] for i, v in enumerate(numbers)]
            if kind == "poly":
                draw.polygon(points, fill=255)
            else:
                draw.ellipse(points, fill=255 * (kind == "disc"))
        return big.resize((width, height), Image.Resampling.BOX)

    def paint(self, width: int, height: int, *, light: float) -> Image.Image:
        """The colors of the whole box: mode RGB, brightness multiplied by `light`."""
        y, x = np.mgrid[0:height, 0:width]
        second = self.texture((x + 0.5) / width, (y + 0.5) / height)
        colors = np.clip(np.array(self.colors) * light, 0, 255).astype(np.uint8)
        return Image.fromarray(colors[second.astype(np.intp)])


_BOX: Part = ("poly", (0, 0, 1, 0, 1, 1, 0, 1))

LOOKS: Mapping[str, Look] = {
    "aeroplane": Look(
        1.6,
        (
            ("disc", (0, 0.4, 1, 0.65)),
            ("poly", (0.35, 0.5, 0.6, 0.5, 0.35, 0, 0.25, 0)),
            ("poly", (0.35, 0.5, 0.6, 0.5, 0.35, 1, 0.25, 1)),
            ("poly", (0, 0.5, 0.15, 0.5, 0.08, 0.2, 0, 0.2)),
        ),
        ((250, 250, 255), (60, 150, 255)),
        _bands(4, 0),
    ),
    "bicycle": Look(
        1.7,
        (
            ("disc", (0, 0.3, 0.42, 1)),
            ("hole", (0.09, 0.45, 0.33, 0.85)),
            ("disc", (0.58, 0.3, 1, 1)),
            ("hole", (0.67, 0.45, 0.91, 0.85)),
            ("poly", (0.2, 0.6, 0.4, 0.1, 0.8, 0, 0.8, 0.65, 0.7, 0.65, 0.7, 0.2, 0.45, 0.25)),
        ),
        ((230, 20, 30), (230, 20, 30)),
    ),
    "bird": Look(
        1.5,
        (("poly", (0, 0, 0.5, 0.45, 1, 0, 0.5, 1)),),
        ((255, 225, 0), (255, 225, 0)),
    ),
    "boat": Look(
        1.1,
        (
            ("poly", (0, 0.65, 1, 0.65, 0.8, 1, 0.2, 1)),
            ("poly", (0.5, 0, 0.9, 0.6, 0.15, 0.6)),
        ),
        ((255, 255, 255), (20, 30, 130)),
        _beyond(2, 0.62),
    ),
    "bottle": Look(
        0.42,
        (("poly", (0.33, 0, 0.67, 0, 0.67, 0.3, 1, 0.45, 1, 1, 0, 1, 0, 0.45, 0.33, 0.3)),),
        ((0, 110, 40), (0, 110, 40)),
    ),
    "bus": Look(1.9, (_BOX,), ((240, 120, 0), (255, 250, 230)), _checks(4, 1.5)),
    "car": Look(
        2.0,
        (
            ("poly", (0, 0.5, 0.2, 0.45, 0.35, 0, 0.7, 0, 0.85, 0.45, 1, 0.5, 1, 0.85, 0, 0.85)),
            ("disc", (0.1, 0.6, 0.32, 1)),
            ("disc", (0.68, 0.6, 0.9, 1)),
        ),
        ((230, 0, 200), (40, 0, 40)),
        _beyond(2, 0.8),
    ),
    "cat": Look(
        1.0,
        (
            ("disc", (0, 0.2, 1, 1)),
            ("poly", (0.05, 0, 0.45, 0.3, 0.1, 0.55)),
            ("poly", (0.95, 0, 0.55, 0.3, 0.9, 0.55)),
        ),
        ((255, 150, 40), (90, 40, 0)),
        _bands(5, 0),
    ),
    "chair": Look(
        0.7,
        (
            ("poly", (0, 0, 0.2, 0, 0.2, 1, 0, 1)),
            ("poly", (0, 0.5, 1, 0.5, 1, 0.68, 0, 0.68)),
            ("poly", (0.8, 0.5, 1, 0.5, 1, 1, 0.8, 1)),
        ),
        ((110, 55, 10), (110, 55, 10)),
    ),
    "cow": Look(
        1.5,
        (("disc", (0, 0, 1, 0.85)), ("poly", (0.15, 0.5, 0.85, 0.5, 0.85, 1, 0.15, 1))),
        ((250, 250, 250), (5, 5, 5)),
        _spots(3, 2, 0.36),
    ),
    "diningtable": Look(
        1.7,
        (
            ("poly", (0, 0, 1, 0, 1, 0.4, 0, 0.4)),
            ("poly", (0.1, 0.4, 0.25, 0.4, 0.25, 1, 0.1, 1)),
            ("poly", (0.75, 0.4, 0.9, 0.4, 0.9, 1, 0.75, 1)),
        ),
        ((235, 200, 120), (150, 20, 20)),
        _checks(6, 4),
    ),
    "dog": Look(
        0.9,
        (("poly", (0.5, 0, 1, 0.5, 0.5, 1, 0, 0.5)),),
        ((150, 90, 40), (120, 255, 240)),
        _bands(0, 4),
    ),
    "horse": Look(
        1.1,
        (
            ("disc", (0, 0, 1, 1.2)),
            ("hole", (0.25, 0.4, 0.75, 1.5)),
        ),
        ((255, 130, 170), (110, 0, 40)),
        _bands(4, 0),
    ),
    "motorbike": Look(
        1.6,
        (
            ("disc", (0, 0.35, 0.42, 1)),
            ("disc", (0.58, 0.35, 1, 1)),
            ("poly", (0.15, 0.5, 0.3, 0, 0.85, 0.1, 0.85, 0.7)),
        ),
        ((110, 0, 210), (110, 0, 210)),
    ),
    "person": Look(
        0.5,
        (
            ("disc", (0.2, 0, 0.8, 0.33)),
            ("poly", (0.1, 0.35, 0.9, 0.35, 1, 0.7, 0.8, 1, 0.2, 1, 0, 0.7)),
        ),
        ((255, 200, 160), (30, 60, 255)),
        _beyond(2, 0.34),
    ),
    "pottedplant": Look(
        0.8,
        (
            ("poly", (0.5, 0, 0.65, 0.3, 1, 0.2, 0.8, 0.5, 1, 0.65, 0, 0.65, 0.2, 0.5, 0, 0.2)),
            ("poly", (0.5, 0, 0.35, 0.3, 0, 0.2, 0.5, 0.6)),
            ("poly", (0.2, 0.65, 0.8, 0.65, 0.7, 1, 0.3, 1)),
        ),
        ((60, 220, 30), (190, 60, 20)),
        _beyond(2, 0.65),
    ),
    "sheep": Look(
        1.4,
        (
            ("disc", (0, 0.2, 0.5, 0.8)),
            ("disc", (0.2, 0, 0.65, 0.6)),
            ("disc", (0.5, 0.1, 1, 0.75)),
            ("disc", (0.2, 0.3, 0.8, 1)),
        ),
        ((255, 255, 255), (255, 175, 225)),
        _spots(5, 4, 0.3),
    ),
    "sofa": Look(
        1.9,
        (("poly", (0, 0, 0.22, 0, 0.22, 0.5, 0.78, 0.5, 0.78, 0, 1, 0, 1, 1, 0, 1)),),
        ((0, 165, 150), (0, 165, 150)),
    ),
    "train": Look(2.6, (_BOX,), ((255, 230, 0), (10, 20, 160)), _bands(5, 2)),
    "tvmonitor": Look(1.3, (_BOX,), ((10, 10, 10), (0, 240, 255)), _frame(0.14)),
}
"""Look by class name, in the devkit's order."""
