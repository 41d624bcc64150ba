"""per_class_ap: average precision per class, with intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from vocscore.charts.canvas import (
    BLACK,
    GRAY,
    ORANGE,
    PALE_GRAY,
    PALE_ORANGE,
    PALE_SKY,
    SKY,
    SMALL,
    TALLEST,
    TEXT,
    TITLE,
    label,
    open_figure,
    put_legend,
    save,
    say_of_what,
)
from vocscore.evaluation.bootstrap import LEVEL, POINTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from vocscore.evaluation.bootstrap import Intervals
    from vocscore.evaluation.metrics import Report

MOST_CLASSES = 80
"""Maximum number of bars; with more classes, the best and the worst are drawn."""
FEW_POSITIVES = 10
"""Below this, a bar is pale: resamples of so few positives say too little (docs/metrics.md)."""
_INCHES_A_BAR = 0.2
_BAR = 0.74
"""Bar height as a share of its row."""
_POINT = POINTS.index("average_precision")


def class_chart(
    figures: Report,
    classes: Sequence[str],
    files: Sequence[Path],
    *,
    intervals: Intervals | None = None,
    subject: str = "",
) -> None:
    """Draw the average precision per class, best first, with its interval and its chance level.

    A class without positives has no average precision; it is at the bottom, without a bar.

    Args:
        figures: the metrics to draw.
        classes: the names, in column order.
        files: the PNG and SVG files to write.
        intervals: of the same metrics; None for none.
        subject: which images these are, for the reader.

    Raises:
        OSError: a file cannot be written.
    """
    shown, places = _chosen(figures.average_precision)
    inches = min(_INCHES_A_BAR, TALLEST / (places[-1] + 1))
    figure = open_figure(1.5 + inches * max(places[-1] + 1, 2))
    axes = figure.subplots()
    _bars(axes, figures, shown, places, inches=inches)
    _texts(axes, figures, [label(classes[c]) for c in shown], shown, places, inches=inches)
    if intervals is not None:
        _whiskers(axes, intervals, shown, places)
    _mean(axes, figures, intervals)
    if len(shown) < len(classes):
        _say_left_out(axes, figures.average_precision, places)
    axes.set_title(f"Average precision per class ({figures.images} images)", fontsize=TITLE)
    say_of_what(figure, subject)
    put_legend(figure, ncols=2)
    save(figure, files)


def _chosen(points: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose the classes to draw, and their rows.

    All of them, best first; or the best and the worst that have positives, with a gap of two rows.
    """
    order = np.argsort(-np.nan_to_num(points, nan=-1.0), kind="stable")
    if len(order) <= MOST_CLASSES:
        return order, np.arange(len(order))
    defined = order[: max(MOST_CLASSES, len(order) - int(np.isnan(points).sum()))]
    half = MOST_CLASSES // 2
    rows = np.arange(MOST_CLASSES)
    return np.concatenate([defined[:half], defined[-half:]]), rows + 2 * (rows >= half)


def _say_left_out(axes: Axes, points: NDArray[np.float64], places: NDArray[np.int64]) -> None:
    """Write into the gap how many classes are not drawn."""
    left_out = len(points) - len(places)
    empty = min(int(np.isnan(points).sum()), left_out)
    text = f"{left_out - empty:,} classes in between"
    text += f" and {empty:,} without positives" if empty else ""
    middle = places[len(places) // 2] - 1.5
    written = axes.text(0.5, middle, f"{text} are left out", ha="center", va="center", fontsize=6)
    written.set(color=GRAY, zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})


def _bars(
    axes: Axes,
    figures: Report,
    shown: NDArray[np.int64],
    places: NDArray[np.int64],
    *,
    inches: float,
) -> None:
    """Draw a bar per class, pale if its positives are few, with a tick at its chance level."""
    positives, negatives = figures.per_class.positives[shown], figures.per_class.negatives[shown]
    few, known = positives < FEW_POSITIVES, positives > 0
    axes.barh(
        places, np.nan_to_num(figures.average_precision[shown]), height=_BAR,
        color=np.where(few, PALE_SKY, SKY).tolist(), edgecolor=SKY, linewidth=0.6,
    )  # fmt: skip
    if (few & known).any():
        axes.scatter(
            [], [], s=60, marker="s", color=PALE_SKY, edgecolor=SKY, linewidth=0.6,
            label=f"pale: fewer than {FEW_POSITIVES} positives",
        )  # fmt: skip
    if known.any():
        axes.plot(
            (positives / np.maximum(positives + negatives, 1))[known], places[known], "|",
            color=BLACK, markersize=72 * _BAR * inches, markeredgewidth=1.8, zorder=4,
            label="chance: share of the images that show the class",
        )  # fmt: skip


def _texts(
    axes: Axes,
    figures: Report,
    names: Sequence[str],
    shown: NDArray[np.int64],
    places: NDArray[np.int64],
    *,
    inches: float,
) -> None:
    """Write names on the left and values on the right, in a size that fits the row."""
    points = min(TEXT, max(5.0, 0.78 * 72 * inches))
    axes.set_yticks(places, names, fontsize=points)
    axes.set_ylim(max(places[-1], 1) + 0.6, -0.6)  # the best on top
    axes.set_xlim(0, 1.015)  # keeps a whisker at 1 visible
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.tick_params(axis="x", labelsize=TEXT)
    axes.set_xlabel("average precision (0 to 1)", fontsize=TEXT)
    axes.grid(visible=True, axis="x", color=PALE_GRAY)
    axes.set_axisbelow(True)
    pairs = zip(figures.average_precision[shown], figures.per_class.positives[shown], strict=True)
    told = [f"{point:.2f}   n={count}" if count else "no positives" for point, count in pairs]
    right = axes.secondary_yaxis("right")
    right.set_yticks(places, told, fontsize=min(points, SMALL))
    right.tick_params(length=0)


def _whiskers(
    axes: Axes, intervals: Intervals, shown: NDArray[np.int64], places: NDArray[np.int64]
) -> None:
    """Draw the interval of each class; an empty interval shows only its caps."""
    low, high = intervals.average_precision[_POINT, shown].T
    known = ~np.isnan(low)
    if not known.any():
        return
    axes.hlines(
        places[known], low[known], high[known], color=BLACK, linewidth=0.9, zorder=3,
        label=f"{LEVEL:.0%} of {intervals.resamples:,} resamples of the images",
    )  # fmt: skip
    for ends in (low, high):
        axes.vlines(
            ends[known], places[known] - 0.16, places[known] + 0.16, color=BLACK, linewidth=0.9,
            zorder=3,
        )  # fmt: skip


def _mean(axes: Axes, figures: Report, intervals: Intervals | None) -> None:
    """Draw a line at the mean over classes, with a band for its interval."""
    mean = figures.mean_average_precision
    if math.isnan(mean):
        return
    name = f"mean {mean:.3f}"
    if intervals is not None:
        low, high = intervals.mean_average_precision[_POINT]
        axes.axvspan(low, high, color=PALE_ORANGE, linewidth=0, zorder=0.3)
        name += f" ({LEVEL:.0%} of resamples: {low:.3f} to {high:.3f})"
    axes.axvline(mean, color=ORANGE, linewidth=1, label=name)
