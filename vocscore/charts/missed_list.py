"""missed_together as two sorted lists, where the matrix would be nearly empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vocscore.charts.canvas import (
    BLUE,
    GRAY,
    PALE_GRAY,
    SKY,
    SMALL,
    TEXT,
    TITLE,
    label,
    open_figure,
    save,
    say_of_what,
    whole_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

MOST_PAIRS, MOST_CLASSES = 20, 20
"""Total rows of the two lists; those with the largest counts are drawn."""
_INCHES_A_ROW = 0.17
_INCHES_BESIDE = 0.75
"""Height of a list's title and axis."""
_LONGEST_OF_TWO = 20
_LEAST_ROWS = 2

Row = tuple[str, int, str]
"""Name, images, and the text on the right."""


@dataclass(frozen=True, slots=True)
class _List:
    title: str
    axis: str
    color: str
    rows: list[Row]

    @property
    def places(self) -> int:
        """Number of rows to reserve: a single bar is no wider than others."""
        return max(len(self.rows), _LEAST_ROWS)


def draw_list(
    missed: NDArray[np.int64],
    classes: Sequence[str],
    files: Sequence[Path],
    *,
    positives: NDArray[np.int64],
    subject: str,
) -> None:
    """Draw the pairs missed together, and below them the classes missed at all.

    Args:
        missed: int64, shape (C, C).
        classes: the names, in column order.
        files: to write.
        positives: int64, shape (C,).
        subject: which images these are.

    Raises:
        OSError: a file cannot be written.
    """
    both = _pairs(missed, classes), _classes(missed, classes, positives)
    lists = [one for one in both if one.rows]
    rows = [one.places for one in lists]
    figure = open_figure(0.4 + _INCHES_A_ROW * sum(rows) + _INCHES_BESIDE * max(len(rows), 1))
    if lists:
        panels = figure.subplots(len(lists), 1, squeeze=False, height_ratios=rows)[:, 0]
        for axes, one in zip(panels, lists, strict=True):
            _draw(axes, one)
    else:
        nothing = "Labels missed together: nothing was missed"
        figure.text(0.5, 0.5, nothing, ha="center", va="center", fontsize=TITLE, color=GRAY)
    say_of_what(figure, subject)
    save(figure, files)


def _pairs(missed: NDArray[np.int64], classes: Sequence[str]) -> _List:
    """The pairs missed most often."""
    first, second = np.nonzero(np.triu(missed, k=1))
    counts = missed[first, second]
    most = np.argsort(-counts, kind="stable")[:MOST_PAIRS]
    rows = [
        (_both(classes[first[p]], classes[second[p]]), int(counts[p]), _images(int(counts[p])))
        for p in most
    ]
    title = "Labels missed together in one image"
    if len(rows) < len(counts):
        title += f": the {len(rows)} most frequent of {len(counts)} pairs"
    return _List(title, "images that show both classes, with neither predicted", BLUE, rows)


def _classes(
    missed: NDArray[np.int64], classes: Sequence[str], positives: NDArray[np.int64]
) -> _List:
    """The classes missed most often, with another or alone."""
    alone = np.diag(missed)
    order = np.argsort(-alone, kind="stable")
    most = [c for c in order[:MOST_CLASSES] if alone[c]]
    rows = [
        (label(classes[c]), int(alone[c]), f"{alone[c]} of {_images(int(positives[c]))}")
        for c in most
    ]
    title = "Classes missed, alone or with others"
    missing = int(np.count_nonzero(alone))
    if len(rows) < missing:
        title += f": the {len(rows)} most frequent of {missing}"
    return _List(title, "images that show the class, with it not predicted", SKY, rows)


def _both(*names: str) -> str:
    return " + ".join(label(name, longest=_LONGEST_OF_TWO) for name in names)


def _images(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"


def _draw(axes: Axes, one: _List) -> None:
    names, counts, told = zip(*one.rows, strict=True)
    places = np.arange(len(names))
    axes.barh(places, counts, height=0.7, color=one.color)
    axes.set_yticks(places, names, fontsize=SMALL)
    axes.set_ylim(one.places - 0.4, -0.6)  # the most frequent on top
    right = axes.secondary_yaxis("right")
    right.set_yticks(places, told, fontsize=SMALL)
    right.tick_params(length=0)
    axes.set_xlim(0, 1.05 * max(counts))
    axes.xaxis.set_major_locator(whole_numbers())
    axes.tick_params(axis="x", labelsize=SMALL)
    axes.set_title(one.title, fontsize=TITLE)
    axes.set_xlabel(one.axis, fontsize=TEXT)
    axes.grid(visible=True, axis="x", color=PALE_GRAY)
    axes.set_axisbelow(True)
