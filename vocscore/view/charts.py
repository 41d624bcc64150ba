"""Options of the page's charts, for ECharts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

INK: Final = "#8a93a1"
"""Readable on light and dark, since a canvas does not know the page's colors."""
BLUE, GREEN, ORANGE = "#4c8df0", "#2fa36b", "#e8743b"
_GRID: Final = {"left": 52, "right": 18, "top": 28, "bottom": 42, "containLabel": False}


def _axis(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "name": name,
        "nameLocation": "middle",
        "nameGap": 26 if "data" not in more else 30,
        "nameTextStyle": {"color": INK},
        "axisLabel": {"color": INK, "hideOverlap": True},
        "axisLine": {"lineStyle": {"color": INK}},
        "splitLine": {"lineStyle": {"color": INK, "opacity": 0.2}},
        **more,
    }


def _base(**more: Any) -> dict[str, Any]:
    return {"animation": False, "grid": _GRID, "textStyle": {"color": INK}, **more}


def _share(name: str) -> dict[str, Any]:
    return _axis("value", name, min=0, max=1, interval=0.2)


def _line(data: Sequence[Sequence[float]], color: str, **more: Any) -> dict[str, Any]:
    style = {"color": color, "width": 2}
    return {"type": "line", "data": data, "showSymbol": False, "lineStyle": style, **more}


def mark_at(threshold: float) -> dict[str, Any]:
    """A line at a threshold, on the x axis."""
    return {
        "silent": True,
        "symbol": "none",
        "data": [{"xAxis": float(min(threshold, 1.0))}],
        "lineStyle": {"color": ORANGE, "type": "solid", "width": 2},
        "label": {"show": False},
    }


def point_at(recall: float, precision: float) -> dict[str, Any]:
    """A point on the precision-recall curve."""
    return {
        "silent": True,
        "symbol": "circle",
        "symbolSize": 12,
        "data": [{"coord": [recall, precision]}],
        "itemStyle": {"color": ORANGE},
        "label": {"show": False},
    }


def precision_recall(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> dict[str, Any]:
    """The precision-recall curve; its first series takes a `point_at`."""
    points = [[float(x), float(y)] for x, y in zip(recall, precision, strict=True)]
    return _base(
        xAxis=_share("recall"),
        yAxis={**_share("precision"), "nameGap": 34},
        series=[_line(points, BLUE, markPoint={"data": []})],
        tooltip={"trigger": "axis"},
    )


def histogram(
    edges: NDArray[np.float64],
    present: NDArray[np.int64] | None,
    others: NDArray[np.int64],
    *,
    log: bool,
) -> dict[str, Any]:
    """Rows by probability, in bins; its first series takes a `mark_at`.

    Args:
        edges: float64 (B + 1,).
        present: int64 (B,), rows with the class; None without labels.
        others: int64 (B,).
        log: a logarithmic axis, where a few rows beside many can be seen.
    """
    centers = (edges[1:] + edges[:-1]) / 2

    def bars(name: str, counts: NDArray[np.int64], color: str) -> dict[str, Any]:
        data = [
            [float(x), int(n) if n or not log else None]
            for x, n in zip(centers, counts, strict=True)
        ]
        return {
            "type": "bar",
            "name": name,
            "data": data,
            "barWidth": 5,
            "stack": "rows",
            "itemStyle": {"color": color},
        }

    counts = {"color": INK, "showMinLabel": not log}
    names = ["images"] if present is None else ["without the class", "with the class"]
    series = [bars(names[0], others, INK if present is not None else BLUE)]
    if present is not None:
        series.append(bars(names[1], present, GREEN))
    return _base(
        legend={"top": 0, "textStyle": {"color": INK}, "show": present is not None},
        tooltip={"trigger": "axis"},
        xAxis=_share("probability"),
        yAxis=_axis(
            "log" if log else "value", "images", min=0.7 if log else 0, nameGap=38, axisLabel=counts
        ),
        series=series,
    )


def reliability(
    mean: Sequence[float], present: Sequence[float], decisions: Sequence[int]
) -> dict[str, Any]:
    """Share of decisions that are right at each probability, beside the diagonal."""
    points = [
        {"value": [x, y], "symbolSize": 6 if n < 20 else 10}
        for x, y, n in zip(mean, present, decisions, strict=True)
        if n
    ]
    diagonal = _line([[0, 0], [1, 1]], INK, silent=True)
    diagonal["lineStyle"] = {"color": INK, "type": "dashed", "width": 1}
    line = {**_line([], BLUE), "data": points, "showSymbol": True, "symbol": "circle"}
    line["itemStyle"] = {"color": BLUE}
    return _base(
        tooltip={"trigger": "item"},
        xAxis=_share("probability"),
        yAxis={**_share("share with the class"), "nameGap": 34},
        series=[diagonal, line],
    )


def bars_by_class(
    names: Sequence[str],
    values: Sequence[float],
    *,
    axis: str,
    most: float | None = None,
) -> dict[str, Any]:
    """Horizontal bars, the first class on top.

    Args:
        names: of the classes, as text that can be shown.
        values: one per class.
        axis: what the values are.
        most: the end of the axis.
    """
    series = [
        {"type": "bar", "data": list(values), "itemStyle": {"color": BLUE}, "barMaxWidth": 14}
    ]
    width = 8 * max((min(len(name), 22) for name in names), default=4) + 14
    label = {"color": INK, "width": width, "overflow": "truncate", "interval": 0}
    return _base(
        grid={"left": width + 8, "right": 24, "top": 8, "bottom": 36},
        tooltip={"trigger": "item"},
        xAxis=_axis("value", axis, min=0, **({} if most is None else {"max": most})),
        yAxis={
            **_axis("category", "", data=list(names), inverse=True, triggerEvent=True),
            "axisLabel": label,
            "splitLine": {"show": False},
        },
        series=series,
    )


def interval_lines(
    names: Sequence[str], low: NDArray[np.float64], high: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Intervals as lines over the bars of `bars_by_class`.

    Args:
        names: of the classes, as there.
        low: float64, one per name; a class with nan has no line.
        high: the same.
    """
    return [
        {
            "type": "line",
            "data": [[float(a), name], [float(b), name]],
            "showSymbol": False,
            "silent": True,
            "lineStyle": {"color": INK, "width": 2},
        }
        for name, a, b in zip(names, low, high, strict=True)
        if a == a and b == b  # noqa: PLR0124 - nan
    ]
