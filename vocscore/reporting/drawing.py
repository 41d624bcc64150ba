"""Charts as SVG inside a page: colored by its style sheet, so that they follow light and dark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from vocscore.reporting.texts import html, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vocscore.evaluation.calibration import Reliability

FEW_DECISIONS: Final = 20
"""A bin of a reliability diagram with fewer is pale."""
_LEAST: Final = 0.7
"""The start of a logarithmic axis of counts: a single one has a bar."""
_SHARES: Final = (0, 0.2, 0.4, 0.6, 0.8, 1)


@dataclass(frozen=True)
class _Frame:
    """A plot with a horizontal axis from 0 to 1.

    Attributes:
        width: of the drawing, units of its view box.
        height: the same.
        left: of the plot inside it; the other margins too.
        right: see `left`.
        top: see `left`.
        bottom: see `left`.
    """

    width: float = 460
    height: float = 230
    left: float = 50
    right: float = 10
    top: float = 8
    bottom: float = 34

    def x(self, share: float) -> float:
        """Of a value from 0 to 1."""
        return round(self.left + share * (self.width - self.left - self.right), 1)

    def y(self, share: float) -> float:
        """Of a height from 0 to 1."""
        return round(self.height - self.bottom - share * (self.height - self.top - self.bottom), 1)

    def svg(self, name: str, parts: Iterable[Markup]) -> Markup:
        """The drawing."""
        return html(
            '<svg viewBox="0 0 {width} {height}" role="img" aria-label="{name}">{parts}</svg>',
            width=f"{self.width:g}",
            height=f"{self.height:g}",
            name=name,
            parts=Markup("").join(parts),
        )

    def axes(
        self,
        x_name: str,
        y_name: str,
        levels: Iterable[tuple[float, str]],
        shares: Sequence[float] = _SHARES,
    ) -> list[Markup]:
        """Grid lines with their texts, and names of the axes."""
        found = [_text(self.x(x), self.height - self.bottom + 14, f"{x:g}") for x in shares]
        for at, told in levels:
            y = self.y(at)
            found.append(_line("grid", (self.x(0), y), (self.x(1), y)))
            found.append(_text(self.left - 5, y + 3.5, told, "end"))
        found.append(_text(self.x(0.5), self.height - 3, x_name, "middle name"))
        middle = self.y(0.5)
        found.append(
            html(
                '<text class="middle name" transform="translate(11 {y}) rotate(-90)">{text}</text>',
                y=middle,
                text=y_name,
            )
        )
        return found


def _text(x: float, y: float, text: str, kind: str = "middle") -> Markup:
    return html(
        '<text class="{kind}" x="{x}" y="{y}">{text}</text>',
        kind=kind,
        x=f"{x:g}",
        y=f"{y:g}",
        text=text,
    )


def _line(kind: str, *points: tuple[float, float]) -> Markup:
    told = " ".join(f"{x:g},{y:g}" for x, y in points)
    return html('<polyline class="{kind}" points="{points}"/>', kind=kind, points=told)


def _bar(kind: str, x: float, y: float, width: float, height: float) -> Markup:
    return html(
        '<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}"/>',
        kind=kind,
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        width=f"{max(width, 0):.1f}",
        height=f"{max(height, 0):.1f}",
    )


def histogram(edges: NDArray[np.float64], counts: NDArray[np.int64], *, name: str) -> Markup:
    """Counts of probabilities on a logarithmic axis, where a few beside many can be seen.

    Args:
        edges: float64 (B + 1,), from 0 to 1.
        counts: int64 (B,).
        name: what is counted, for the axis.
    """
    frame = _Frame()
    most = max(int(counts.max()) if len(counts) else 0, 1)
    powers = [10**power for power in range(len(str(most)))]
    bars = [
        _bar(
            "data",
            frame.x(low) + 0.6,
            frame.y(_log_share(int(n), most)),
            frame.x(high) - frame.x(low) - 1.2,
            frame.y(0) - frame.y(_log_share(int(n), most)),
        )
        for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
        if n
    ]
    levels = [(_log_share(power, most), number(power)) for power in powers]
    base = _line("axis", (frame.x(0), frame.y(0)), (frame.x(1), frame.y(0)))
    return frame.svg(name, [*frame.axes("probability", name, levels), *bars, base])


def _log_share(count: int, most: int) -> float:
    """Height of a count on a logarithmic axis whose end is a bit above `most`."""
    return math.log(max(count, _LEAST) / _LEAST) / math.log(1.15 * most / _LEAST)


def sparkline(counts: NDArray[np.int64]) -> Markup:
    """A histogram without axes, logarithmic, int64 (B,): for a cell of a table."""
    most = max(int(counts.max()) if len(counts) else 0, 1)
    step = 100 / max(len(counts), 1)
    bars = [
        _bar("data", place * step, 24 - 23 * _log_share(int(n), most), step * 0.8, 24)
        for place, n in enumerate(counts)
        if n
    ]
    return html(
        '<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">'
        "{bars}</svg>",
        bars=Markup("").join(bars),
    )


def share_bar(value: float, interval: Sequence[float] | None = None) -> Markup:
    """A bar from 0 to 1 with its interval: for a cell of a table.

    Args:
        value: nan draws nothing.
        interval: lower and upper value; None or nan draws none.
    """
    parts = [] if math.isnan(value) else [_bar("data", 0, 4, 100 * value, 8)]
    if interval is not None and not math.isnan(interval[0]):
        low, high = (100 * float(end) for end in interval)
        parts.append(_line("whisker", (low, 8), (max(high, low + 0.3), 8)))
        parts += [_line("whisker", (end, 5), (end, 11)) for end in (low, high)]
    return html(
        '<svg class="bar" viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" x="0" y="4" width="100" height="8"/>{parts}</svg>',
        parts=Markup("").join(parts),
    )


def precision_recall(
    recall: NDArray[np.float64],
    precision: NDArray[np.float64],
    decided: tuple[float, float],
    *,
    name: str,
) -> Markup:
    """A precision-recall curve, with a point where the labels were decided.

    Args:
        recall: float64 (P,), ascending.
        precision: float64 (P,).
        decided: recall and precision of the labels.
        name: of the class.
    """
    frame = _Frame(width=210, height=170, left=38, right=8, top=8, bottom=30)
    levels = [(x, f"{x:g}") for x in (0, 0.5, 1)]
    points = [(frame.x(x), frame.y(y)) for x, y in zip(recall, precision, strict=True)]
    points = [(frame.x(0), y) for _, y in points[:1]] + points  # the first precision holds from 0
    dot = html(
        '<circle class="mark" cx="{x}" cy="{y}" r="4"/>',
        x=frame.x(decided[0]),
        y=frame.y(decided[1]),
    )
    parts = [*frame.axes("recall", "precision", levels, (0, 0.5, 1)), _line("curve", *points), dot]
    return frame.svg(f"precision-recall curve of {name}", parts)


def reliability(found: Reliability) -> Markup:
    """Share of decisions with the class at each probability, with intervals, and the diagonal."""
    frame = _Frame()
    levels = [(x, f"{x:g}") for x in _SHARES]
    parts = frame.axes("predicted probability", "share with the class", levels)
    parts.append(_line("diagonal", (frame.x(0), frame.y(0)), (frame.x(1), frame.y(1))))
    bins: list[tuple[float, float]] = []
    rows: Iterable[Any] = zip(
        found.mean_probability,
        found.share_present,
        found.share_interval,
        found.decisions,
        strict=True,
    )
    for mean, share, (low, high), decisions in rows:
        if not decisions:
            continue
        x, pale = frame.x(float(mean)), " pale" if decisions < FEW_DECISIONS else ""
        ends = (x, frame.y(float(low))), (x, frame.y(float(high)))
        parts.append(_line(f"whisker{pale}", *ends))
        parts.append(
            html(
                '<circle class="dot{pale}" cx="{x}" cy="{y}" r="4"/>',
                pale=pale,
                x=x,
                y=frame.y(float(share)),
            )
        )
        if not pale:
            bins.append((x, frame.y(float(share))))
    parts.append(_line("curve", *bins))
    return frame.svg("reliability diagram", parts)
