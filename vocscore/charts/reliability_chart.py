"""reliability.png: whether a probability of 0.7 comes true 7 times in 10."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vocscore.charts.canvas import BLUE, GRAY, ORANGE, open_figure, save, say_of_what

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

    from vocscore.evaluation.calibration import Reliability

_STYLES = ((BLUE, "o", "-"), (ORANGE, "s", "--"))


def reliability_chart(of: Mapping[str, Reliability], file: Path, *, subject: str = "") -> None:
    """Draw the share that comes true against the probability, and how many decisions there are.

    Args:
        of: one or two, each by the name that the legend has for it.
        file: the PNG to write.
        subject: which images these are, for the reader.

    Raises:
        OSError: the file cannot be written.
    """
    figure = open_figure(6, 7.6)
    shares, counts = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    shares.plot([0, 1], [0, 1], color=GRAY, linestyle=":", label="as it should be")
    for (name, found), style in zip(of.items(), _STYLES, strict=False):
        _line(shares, name, found, style)
        counts.stairs(found.decisions, found.edges, color=style[0], linestyle=style[2])
    shares.set_title("reliability, over all decisions", fontsize=11)
    say_of_what(figure, subject)
    shares.set_ylabel("share that is present")
    shares.set_xlim(0, 1)
    shares.set_ylim(-0.02, 1.02)
    figure.legend(loc="outside lower center", fontsize=9)
    counts.set_yscale("symlog", linthresh=1)  # most are near 0; a bin of none must be seen, too
    most = max(int(found.decisions.max()) for found in of.values())
    counts.set_ylim(0, 2 * max(most, 1))  # the highest bin below the frame
    counts.set_ylabel("decisions")
    counts.set_xlabel("probability")
    for axes in (shares, counts):
        axes.grid(visible=True, alpha=0.3)
    save(figure, file)


def _line(axes: Axes, name: str, found: Reliability, style: tuple[str, str, str]) -> None:
    color, marker, line = style
    used = found.decisions > 0
    error = found.expected_calibration_error
    label = name if math.isnan(error) else f"{name}: expected calibration error {error:.3f}"
    axes.plot(
        found.mean_probability[used], found.share_present[used],
        color=color, marker=marker, linestyle=line, markersize=5, label=label,
    )  # fmt: skip
