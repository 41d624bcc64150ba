"""reliability: the reliability diagram of the probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from vocscore.charts.canvas import (
    BLUE,
    FADED_ORANGE,
    GRAY,
    ORANGE,
    PALE_BLUE,
    PALE_GRAY,
    TEXT,
    TITLE,
    label,
    open_figure,
    put_legend,
    save,
    say_of_what,
)
from vocscore.evaluation.calibration import LEVEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from vocscore.evaluation.calibration import Reliability

FEW_DECISIONS = 20
"""A bin with fewer is drawn hollow and pale, without a solid line: its interval is wider than 0.4
around a share of 0.5."""
_STYLES = ((BLUE, PALE_BLUE, "o", "-"), (ORANGE, FADED_ORANGE, "s", "--"))
"""Color, the same for bins with few decisions, marker, line."""


def reliability_chart(
    of: Mapping[str, Reliability], files: Sequence[Path], *, subject: str = ""
) -> None:
    """Draw the share of positives against the probability, and the number of decisions per bin.

    Args:
        of: one or two, by legend name.
        files: the PNG and SVG files to write.
        subject: which images these are, for the reader.

    Raises:
        OSError: a file cannot be written.
    """
    figure = open_figure(7.0)
    shares, counts = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    shares.plot([0, 1], [0, 1], color=GRAY, linestyle=":", label="perfect calibration")
    for (name, found), style in zip(of.items(), _STYLES, strict=False):
        _line(shares, name, found, style)
        counts.stairs(found.decisions, found.edges, color=style[0], linestyle=style[-1])
    _explain(shares, of)
    shares.set_title("Reliability, over the decisions of all classes", fontsize=TITLE)
    say_of_what(figure, subject)
    shares.set_ylabel("share of decisions where\nthe class is present (0 to 1)", fontsize=TEXT)
    shares.set_xlim(-0.02, 1.02)
    shares.set_ylim(-0.02, 1.02)
    _count_axis(counts, most=max(int(found.decisions.max()) for found in of.values()))
    for axes in (shares, counts):
        axes.grid(visible=True, color=PALE_GRAY)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=TEXT)
    put_legend(figure, ncols=2)
    save(figure, files)


def _line(axes: Axes, name: str, found: Reliability, style: tuple[str, str, str, str]) -> None:
    """Draw each bin with its interval; a line joins neighbors with enough decisions."""
    color, pale, marker, line = style
    error = found.expected_calibration_error
    text = label(name)
    text = text if math.isnan(error) else f"{text}: expected calibration error {error:.3f}"
    few = (found.decisions > 0) & (found.decisions < FEW_DECISIONS)
    many = found.decisions >= FEW_DECISIONS
    axes.plot(
        found.mean_probability, np.where(many, found.share_present, np.nan),
        color=color, marker=marker, linestyle=line, markersize=5, label=text, zorder=3,
    )  # fmt: skip
    axes.plot(
        found.mean_probability[few], found.share_present[few], color=pale, marker=marker,
        linestyle="none", markersize=5, markerfacecolor="white", zorder=3,
    )  # fmt: skip
    low, high = found.share_interval.T
    for bins, shade in ((many, color), (few, pale)):
        axes.vlines(found.mean_probability[bins], low[bins], high[bins], color=shade, linewidth=1)


def _explain(axes: Axes, of: Mapping[str, Reliability]) -> None:
    """Explain intervals and pale bins in the legend, if there are any."""
    if any(found.decisions.any() for found in of.values()):
        axes.vlines([], [], [], color=BLUE, linewidth=1, label=f"{LEVEL:.0%} interval (Wilson)")
    if any(((f.decisions > 0) & (f.decisions < FEW_DECISIONS)).any() for f in of.values()):
        axes.plot(
            [], [], color=PALE_BLUE, marker="o", linestyle="none", markersize=5,
            markerfacecolor="white",
            label=f"hollow, pale: fewer than {FEW_DECISIONS} decisions (dotted line)",
        )  # fmt: skip


def _count_axis(axes: Axes, *, most: int) -> None:
    """Set a scale on which bins with none, few and most decisions are visible."""
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 2 * max(most, 1))  # keeps the highest bin below the frame
    powers = [10**power for power in range(len(str(max(most, 1))))]
    axes.set_yticks([0, *powers], [f"{count:,}" for count in (0, *powers)])
    axes.minorticks_off()
    axes.axhline(FEW_DECISIONS, color=GRAY, linestyle=":", linewidth=1)
    axes.set_ylabel("decisions per bin", fontsize=TEXT)
    axes.set_xlabel("predicted probability (0 to 1)", fontsize=TEXT)
