"""Rows to a bar chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.outcome import Outcome

OURS = "#1f6f8b"
OTHERS = "#b8b8b8"
CEILING = "#e0a458"
_BAR_INCHES = 0.27
_PANEL_INCHES = 0.75
_WIDTH_INCHES = 9.0
_ROOM_FOR_LABELS = 1.35
"""Times the longest bar: labels stand behind the bars, within the panel."""


def draw(outcomes: Sequence[Outcome], file: Path, *, title: str) -> None:
    """Draw a panel for each outcome: a bar a contestant, with its rate and its ratio.

    Args:
        outcomes: each with a baseline.
        file: the PNG.
        title: the machine.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    heights = [_BAR_INCHES * len(one.rates) + _PANEL_INCHES for one in outcomes]
    figure, axes = plt.subplots(
        len(outcomes),
        1,
        figsize=(_WIDTH_INCHES, sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    figure.suptitle(title, fontsize=9)
    for axis, outcome in zip(axes[:, 0], outcomes, strict=True):
        _panel(axis, outcome)
    # No date and no version in the file: equal rows give equal images.
    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _panel(axis: Any, outcome: Outcome) -> None:
    names = list(outcome.rates)
    medians = {name: outcome.rates[name].median for name in names}
    bound = [name for name in names if not _is_ceiling(name) or name in outcome.walls.values()]
    # A ceiling that binds nobody may be far above all else: its bar is cut, and says so.
    top = max(medians[name] for name in bound or names)
    ends = [min(medians[name], top) for name in names]
    axis.barh(names, ends, color=[_color(name, outcome) for name in names], height=0.72)
    axis.invert_yaxis()
    axis.set_title(outcome.title, fontsize=9, loc="left", fontweight="bold")
    axis.set_xlabel(outcome.unit + (" (less is better)" if outcome.unit == "s" else ""), fontsize=8)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlim(0, top * _ROOM_FOR_LABELS)
    for place, name in enumerate(names):
        cut = " (bar cut)" if medians[name] > top else ""
        axis.text(ends[place], place, f"  {label(name, outcome)}{cut}", va="center", fontsize=8)


def label(name: str, outcome: Outcome) -> str:
    """A contestant's rate, its ratio to the baseline, and its share of its wall."""
    parts = [f"{outcome.rates[name].median:,.0f}"]
    ratio, share = outcome.ratio(name), outcome.share(name)
    if outcome.unit == "s":
        parts = [f"{outcome.rates[name].median:,.1f}"]
    if ratio is not None and name != outcome.baseline:
        parts.append(f"{ratio:.2f}x")
    if share is not None:
        parts.append(f"{share:.0%} of its wall")
    return ", ".join(parts)


def _color(name: str, outcome: Outcome) -> str:
    if _is_ceiling(name) or name in outcome.walls.values():
        return CEILING
    return OURS if name.startswith("vocscore") else OTHERS


def _is_ceiling(name: str) -> bool:
    return "ceiling" in name
