"""missed_together: which labels are missed in the same images, as a matrix or as lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vocscore.charts.canvas import (
    BLACK,
    SMALL,
    TEXT,
    TITLE,
    label,
    open_figure,
    save,
    say_of_what,
    whole_numbers,
)
from vocscore.charts.missed_list import draw_list

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

MOST_CLASSES = 30
"""Side of the matrix; with more classes, those that are missed most often are drawn."""
NEARLY_EMPTY = 0.1
"""Share of nonzero cells below which lists are clearer than the matrix."""
_WITH_NUMBERS = 20
"""Maximum number of classes for which a cell has room for a number."""
_LONGEST_NAME = 22
_INCHES_A_ROW, _INCHES_BESIDE = 0.17, 1.9
_LEAST_ROWS = 10


def missed_chart(
    missed: NDArray[np.int64],
    classes: Sequence[str],
    files: Sequence[Path],
    *,
    positives: NDArray[np.int64],
    subject: str = "",
) -> None:
    """Draw how often two classes are missed in one image, and how often each is missed at all.

    A matrix of the classes missed most; if few pairs are missed together, two sorted lists, of
    pairs and of classes.

    Args:
        missed: int64, shape (C, C), as `missed_together` returns it.
        classes: the names, in column order.
        files: the PNG and SVG files to write.
        positives: int64, shape (C,), number of images that show each class.
        subject: which images these are, for the reader.

    Raises:
        OSError: a file cannot be written.
    """
    alone = np.diag(missed)
    shown = np.argsort(-alone, kind="stable")[:MOST_CLASSES]
    table = missed[np.ix_(shown, shown)]
    fields = table[np.triu_indices(len(shown), k=1)]
    if fields.size == 0 or np.count_nonzero(fields) < NEARLY_EMPTY * fields.size:
        draw_list(missed, classes, files, positives=positives, subject=subject)
        return
    names = [label(classes[c], longest=_LONGEST_NAME) for c in shown]
    counted = [
        f"{name}  {alone[c]} of {positives[c]}" for name, c in zip(names, shown, strict=True)
    ]
    figure = open_figure(_INCHES_BESIDE + _INCHES_A_ROW * max(len(shown), _LEAST_ROWS))
    axes = figure.subplots()
    pairs = np.ma.masked_array(table, mask=np.eye(len(shown), dtype=bool))
    axes.set_facecolor("#dddddd")  # the diagonal
    drawn = axes.imshow(pairs, cmap="Blues", vmin=0, vmax=int(pairs.max()), aspect="auto")
    bar = figure.colorbar(drawn, ax=axes, shrink=0.6, pad=0.02)
    bar.set_label("images that miss both classes", fontsize=TEXT)
    bar.locator = whole_numbers()
    bar.update_ticks()
    bar.ax.tick_params(labelsize=SMALL)
    _names(axes, names, counted)
    if len(shown) <= _WITH_NUMBERS:
        _numbers(axes, pairs)
    title = "Labels missed together in one image"
    if len(shown) < len(alone):
        title += f": the {len(shown)} of {len(alone)} classes missed most"
    axes.set_title(title, fontsize=TITLE)
    say_of_what(figure, subject)
    save(figure, files)


def _names(axes: Axes, names: Sequence[str], counted: Sequence[str]) -> None:
    """Write names on both sides; on the left with how often each is missed."""
    places = np.arange(len(names))
    points = min(SMALL, 220 / len(names))
    axes.set_yticks(places, counted, fontsize=points)
    axes.set_xticks(places, names, fontsize=points, rotation=90)
    axes.set_ylabel("class: images that miss it,\nof images that show it", fontsize=TEXT)
    axes.set_xticks(places[:-1] + 0.5, minor=True)
    axes.set_yticks(places[:-1] + 0.5, minor=True)
    axes.grid(visible=True, which="minor", color="#eeeeee", linewidth=0.5)
    axes.tick_params(which="minor", length=0)


def _numbers(axes: Axes, pairs: np.ma.MaskedArray[tuple[int, int], np.dtype[np.int64]]) -> None:
    most = int(pairs.max())
    for (row, column), count in np.ndenumerate(pairs):
        if row != column and count:
            axes.text(
                column, row, str(count), ha="center", va="center", fontsize=6,
                color="white" if count > 0.6 * most else BLACK,
            )  # fmt: skip
