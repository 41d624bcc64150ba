"""The overview: how many, how good, and where to look."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from nicegui import ui

from vocscore.columns import figures
from vocscore.columns.query import Query
from vocscore.reporting.texts import counted, html, number, share, visible
from vocscore.view import charts
from vocscore.view.address import gallery_of

if TYPE_CHECKING:
    from nicegui.events import EChartPointClickEventArguments
    from numpy.typing import NDArray

    from vocscore.evaluation.bootstrap import Intervals
    from vocscore.view.session import Session

_MOST_BARS = 60
"""Classes in a chart; a table has the others."""
_MOST_PAIRS = 12
_FIGURE = '<div class="figure"><b>{value}</b><span>{name}</span><i>{more}</i></div>'


async def build_overview(session: Session) -> None:
    """Build the screen."""
    table, labels = session.table, session.labels
    with ui.element("div").classes("screen"):
        with ui.element("div").classes("panel"):
            summary = ui.html("", sanitize=False).classes("figures")
        _notes(session)
        quality = ui.element("div").classes("panel") if labels is not None else None
        panels = ui.element("div").classes("panels")
    found = await asyncio.to_thread(figures.decided, table, session.thresholds.copy())
    failed = int(table.failed.sum())
    summary.set_content(
        _figure("images", number(table.rows), "" if table.complete else "still being written")
        + _figure("errors", number(failed), _reasons(session))
        + _figure(
            "predicted labels", number(found.predicted.sum()), f"{len(table.classes)} classes"
        )
        + _figure("images without a label", number(found.none), "at these thresholds")
    )
    with panels:
        with ui.element("div").classes("panel"):
            ui.html("<h2>Predicted images per class</h2>", sanitize=False)
            _class_bars(session, found.predicted, "images predicted")
        precision = ui.element("div").classes("panel") if labels is not None else None
        stack = ui.element("div").classes("stack")
    with stack:
        with ui.element("div").classes("panel"):
            ui.html("<h2>Distribution of probabilities, all classes</h2>", sanitize=False)
            options = charts.histogram(found.edges, None, found.counts, log=True)
            ui.echart(options).classes("chart")
        if failed:
            _errors(session)
    if quality is not None and precision is not None:
        await _quality(session, quality, precision, stack)


def _figure(name: str, value: str, more: str | Markup = "") -> Markup:
    return html(_FIGURE, name=name, value=value, more=more)


def _reasons(session: Session) -> str:
    table = session.table
    counts = np.bincount(table.reason, minlength=len(table.reasons))[1:]
    return ", ".join(
        f"{n} {visible(reason)}" for reason, n in zip(table.reasons[1:], counts, strict=True) if n
    )


def _notes(session: Session) -> None:
    """Say what the figures do not cover."""
    table, labels = session.table, session.labels
    notes = list(table.columns.about.notes)
    if labels is None:
        notes.append(
            "No labels were found: open the page with a packed set as its labels to see how good "
            "the predictions are."
        )
    elif not labels.held_out.any():
        notes.append(
            "The model was trained on every labeled image here, so its figures are too optimistic."
        )
    elif labels.left_out:
        left = counted(labels.left_out, "image")
        notes.append(f"Figures leave out {left} that the model was trained on.")
    if not table.columns.about.has_all:
        notes.append("Some probabilities were not written: only the largest ones, or only labels.")
    for note in notes:
        ui.label(visible(note)).classes("note")


def _class_bars(
    session: Session,
    values: NDArray[Any],
    axis: str,
    *,
    most: float | None = None,
) -> ui.echart:
    """Bars of the largest classes; a click opens the class."""
    classes = session.table.classes
    order = _order(values)
    names = [visible(classes[c]) for c in order]

    def open_class(event: EChartPointClickEventArguments) -> None:
        if event.name in names:
            ui.navigate.to(f"/class/{int(order[names.index(event.name)])}")

    options = charts.bars_by_class(
        names,
        [0.0 if values[c] != values[c] else float(values[c]) for c in order],
        axis=axis,
        most=most,
    )
    height = 52 + 20 * len(names)
    chart = ui.echart(options, on_point_click=open_class).style(f"width: 100%; height: {height}px")
    if len(classes) > len(names):
        ui.link(f"all {len(classes)} classes", "/class")
    return chart


def _order(values: NDArray[Any]) -> NDArray[np.int64]:
    """The classes with bars, the largest first."""
    known = np.nan_to_num(np.asarray(values, np.float64), nan=-1)
    return np.argsort(-known, kind="stable")[:_MOST_BARS]


def _errors(session: Session) -> None:
    table = session.table
    counts = np.bincount(table.reason, minlength=len(table.reasons))
    with ui.element("div").classes("panel"):
        rows = Markup("").join(
            html(
                '<tr><td><a href="{href}">{reason}</a></td><td class="n">{count}</td></tr>',
                href=gallery_of(table, Query(kind="error", reason=reason)),
                reason=visible(reason),
                count=number(counts[place]),
            )
            for place, reason in enumerate(table.reasons)
            if place and counts[place]
        )
        ui.html(
            html(
                '<h2>Errors by reason</h2><table class="plain"><tr><th>reason</th><th class="n">'
                "rows</th></tr>{rows}</table>",
                rows=rows,
            ),
            sanitize=False,
        )


async def _quality(
    session: Session, panel: ui.element, precision: ui.element, stack: ui.element
) -> None:
    """Show the metrics, and their intervals when they are computed.

    Args:
        session: the tab.
        panel: for the metrics.
        precision: for the average precision of each class.
        stack: for a panel of what is missed.
    """
    table, labels, thresholds = session.table, session.labels, session.thresholds.copy()
    assert labels is not None, "asked for labels"
    found = await asyncio.to_thread(figures.judge, table, labels, thresholds)
    if found is None:
        with panel:
            ui.label("No labeled image has all probabilities, so there are no figures.")
        return
    report = found.report
    with panel:
        top = ui.html(_metrics(found, None), sanitize=False).classes("figures")
        note = ui.label("computing the intervals").classes("soft")
    with precision:
        ui.html("<h2>Average precision per class</h2>", sanitize=False)
        chart = _class_bars(session, report.average_precision, "average precision", most=1)
    with stack, ui.element("div").classes("panel"):
        ui.html(_pairs(session, found), sanitize=False)
    spread = await asyncio.to_thread(figures.intervals, table, labels, thresholds)
    if spread is None:
        note.set_text(
            f"no intervals for more than {figures.RESAMPLED:,} images here; 'vocscore eval' "
            "computes them"
        )
        return
    note.set_text("95% intervals: bootstrap over images")
    top.set_content(_metrics(found, spread))
    low, high = spread.average_precision[0].T
    order = _order(report.average_precision)
    names = [visible(table.classes[c]) for c in order]
    chart.options["series"] += charts.interval_lines(names, low[order], high[order])


def _metrics(found: figures.Judged, spread: Intervals | None) -> Markup:
    report = found.report
    pairs = [
        ("mAP", report.mean_average_precision, None if spread is None else 0),
        ("IoU, mean over images", report.samples.iou, None if spread is None else 1),
        ("precision, all decisions", report.micro.precision, None if spread is None else 2),
        ("recall, all decisions", report.micro.recall, None if spread is None else 3),
        ("F1, all decisions", report.micro.f1, None if spread is None else 4),
        ("F1, mean over classes", report.macro.f1, None if spread is None else 5),
    ]
    ends = [] if spread is None else _ends(spread)
    cards = [
        _figure(name, share(value), "" if at is None else f"{ends[at][0]:.3f} to {ends[at][1]:.3f}")
        for name, value, at in pairs
    ]
    return Markup("").join([_figure("held-out images", number(report.images)), *cards])


def _ends(spread: Intervals) -> list[tuple[float, float]]:
    """The intervals of the figures in the order of `_metrics`."""
    rows = [
        spread.mean_average_precision[0],
        spread.samples[0],
        spread.micro[1],
        spread.micro[2],
        spread.micro[3],
        spread.macro[3],
    ]
    return [(float(low), float(high)) for low, high in rows]


def _pairs(session: Session, found: figures.Judged) -> Markup:
    """Labels that are missed in the same images."""
    classes = session.table.classes
    upper = np.triu(found.missed, 1)
    order = np.argsort(-upper, axis=None, kind="stable")[:_MOST_PAIRS]
    pairs = [divmod(int(at), len(classes)) for at in order if upper.flat[at]]
    misses = np.argsort(-np.diag(found.missed), kind="stable")[:_MOST_PAIRS]
    one = Markup("").join(
        html(
            '<tr><td><a href="{href}">{name}</a></td><td class="n">{n}</td></tr>',
            href=gallery_of(
                session.table, Query(class_index=int(c), kind="false_negative", held_out=True)
            ),
            name=visible(classes[c]),
            n=number(found.missed[c, c]),
        )
        for c in misses
        if found.missed[c, c]
    )
    two = Markup("").join(
        html(
            '<tr><td>{a} and {b}</td><td class="n">{n}</td></tr>',
            a=visible(classes[a]),
            b=visible(classes[b]),
            n=number(upper[a, b]),
        )
        for a, b in pairs
    )
    return html(
        '<h2>Most missed</h2><table class="plain"><tr><th>class</th><th class="n">images</th></tr>'
        '{one}</table><h2 style="margin-top: 12px">Missed in the same image</h2>'
        '<table class="plain"><tr><th>classes</th><th class="n">images</th></tr>{two}</table>',
        one=one or Markup('<tr><td class="soft">none</td><td></td></tr>'),
        two=two or Markup('<tr><td class="soft">none</td><td></td></tr>'),
    )
