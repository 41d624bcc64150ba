"""per_class_ap.png: which classes are ranked well."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from vocscore.charts.canvas import BLACK, ORANGE, SKY, label, open_figure, save, say_of_what

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from vocscore.evaluation.metrics import Report

MOST_CLASSES = 100
"""Bars of one chart; of more classes, the best and the worst are drawn."""
_INCHES_A_BAR = 0.2


def class_chart(figures: Report, classes: Sequence[str], file: Path, *, subject: str = "") -> None:
    """Draw average precision a class, best first, each beside its chance.

    A class without positives has no average precision; it stands at the bottom, without a bar.

    Args:
        figures: what is drawn.
        classes: the names, in column order.
        file: the PNG to write.
        subject: which images these are, for the reader.

    Raises:
        OSError: the file cannot be written.
    """
    points = figures.average_precision
    order = np.argsort(-np.nan_to_num(points, nan=-1.0), kind="stable")
    shown = _ends(order)
    left_out = len(order) - len(shown)
    figure = open_figure(8, max(2.2, 1.4 + _INCHES_A_BAR * len(shown)))
    axes = figure.subplots()
    _bars(axes, figures, [label(classes[c]) for c in shown], shown)
    mean = figures.mean_average_precision
    if not math.isnan(mean):
        axes.axvline(mean, color=ORANGE, linewidth=1, label=f"mean, {mean:.3f}")
    some = f", {left_out} in the middle left out" if left_out else ""
    axes.set_title(f"average precision a class ({figures.images} images{some})", fontsize=11)
    say_of_what(figure, subject)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    save(figure, file)


def _ends(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """All of an order, or as many as fit from both of its ends."""
    half = MOST_CLASSES // 2
    return order if len(order) <= MOST_CLASSES else np.concatenate([order[:half], order[-half:]])


def _bars(axes: Axes, figures: Report, names: Sequence[str], shown: NDArray[np.int64]) -> None:
    """One bar a class from top to bottom, its chance, and its number of positives."""
    positives, negatives = figures.per_class.positives[shown], figures.per_class.negatives[shown]
    points = figures.average_precision[shown]
    places = np.arange(len(shown))
    known = positives > 0
    chance = positives / np.maximum(positives + negatives, 1)
    axes.barh(places, np.nan_to_num(points), color=SKY, height=min(0.75, 0.25 * len(shown)))
    axes.plot(
        chance[known], places[known], "|", color=BLACK, markersize=9, markeredgewidth=2,
        label="chance: share of the images that show it", zorder=4,  # above the texts
    )  # fmt: skip
    for place, point, count in zip(places.tolist(), points, positives, strict=True):
        text = f"{point:.2f}   n={count}" if count else "no positives"
        at = point if count else 0.0
        written = axes.text(at + 0.01, place, text, va="center", fontsize=7.5, color=BLACK)
        written.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # over the mean
    axes.set_yticks(places, names, fontsize=8, parse_math=False)
    axes.set_ylim(len(shown) - 0.4, -0.6)  # the best on top
    axes.set_xlim(0, 1.16)  # room for the text behind a bar of 1
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.set_axisbelow(True)
