"""missed_together.png: which labels are missed in the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vocscore.charts.canvas import (
    BLACK,
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

MOST_CLASSES = 40
"""A side of one chart; of more classes, those that are missed most often are drawn."""
_WITH_NUMBERS = 25
"""Classes up to which there is room for a number in each field."""
_INCHES_A_FIELD = 0.32


def missed_chart(
    missed: NDArray[np.int64], classes: Sequence[str], file: Path, *, subject: str = ""
) -> None:
    """Draw how often two classes are missed in one image, the most missed class first.

    How often a class is missed at all stands behind its name; on the diagonal it would outshine
    every pair.

    Args:
        missed: int64, shape (C, C), as `missed_together` gives it.
        classes: the names, in column order.
        file: the PNG to write.
        subject: which images these are, for the reader.

    Raises:
        OSError: the file cannot be written.
    """
    alone = np.diag(missed)
    shown = np.argsort(-alone, kind="stable")[:MOST_CLASSES]
    pairs = np.ma.masked_array(missed[np.ix_(shown, shown)], mask=np.eye(len(shown), dtype=bool))
    side = 2.6 + _INCHES_A_FIELD * max(len(shown), 4)
    figure = open_figure(side + 1.6, side)
    axes = figure.subplots()
    most = int(pairs.max()) if pairs.count() else 0
    axes.set_facecolor("#dddddd")  # the diagonal
    fields = axes.imshow(pairs, cmap="Blues", vmin=0, vmax=max(most, 1))
    bar = figure.colorbar(fields, ax=axes, shrink=0.7, label="images that miss both")
    bar.locator = whole_numbers()
    bar.update_ticks()
    _names(axes, [label(classes[c]) for c in shown], alone[shown])
    if len(shown) <= _WITH_NUMBERS:
        _numbers(axes, pairs, most=most)
    if len(shown) < len(alone):
        title = f"missed together: the {len(shown)} of {len(alone)} classes missed most"
    else:
        title = "missed together"
    axes.set_title(title if alone.any() else f"{title}: nothing was missed", fontsize=11)
    say_of_what(figure, subject)
    save(figure, file)


def _names(axes: Axes, names: Sequence[str], alone: NDArray[np.int64]) -> None:
    """Names at both sides; at the left with how often each is missed."""
    places = np.arange(len(names))
    counted = [f"{name}  {count}" for name, count in zip(names, alone, strict=True)]
    axes.set_yticks(places, counted, fontsize=8, parse_math=False)
    axes.set_xticks(places, names, fontsize=8, rotation=90, parse_math=False)
    axes.set_ylabel("class, and images that miss it")
    axes.set_xticks(places[:-1] + 0.5, minor=True)
    axes.set_yticks(places[:-1] + 0.5, minor=True)
    axes.grid(visible=True, which="minor", color="#eeeeee", linewidth=0.5)
    axes.tick_params(which="minor", length=0)


def _numbers(
    axes: Axes, pairs: np.ma.MaskedArray[tuple[int, int], np.dtype[np.int64]], *, most: int
) -> None:
    for (row, column), count in np.ndenumerate(pairs):
        if row != column and count:
            dark = count > 0.6 * most
            axes.text(
                column, row, str(count), ha="center", va="center", fontsize=7,
                color="white" if dark else BLACK,
            )  # fmt: skip
