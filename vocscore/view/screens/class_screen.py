"""The classes, and one class with a threshold that can be dragged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from markupsafe import Markup
from nicegui import ui

from vocscore.columns.query import Query, select
from vocscore.evaluation.calibration import reliability
from vocscore.reporting.texts import html, number, share, visible
from vocscore.view import charts
from vocscore.view.address import View, gallery_of
from vocscore.view.thresholds import build_saving
from vocscore.view.tiles import LEGEND, tiles

if TYPE_CHECKING:
    from nicegui.events import GenericEventArguments

    from vocscore.columns.curve import ClassCurve
    from vocscore.view.session import Session

_STRIP: Final = 12
_STEP: Final = 0.001
_PRECISION: Final = 0.9
_STRIPS: Final = {
    "unsure": "nearest to the threshold",
    "false_positive": "wrong (false positives)",
    "false_negative": "missed (false negatives)",
    "true_positive": "right (true positives)",
}


async def build_class(session: Session, c_text: str) -> None:
    """Build the screen of a class."""
    c = int(c_text) if c_text.isascii() and c_text.isdigit() else -1
    if not 0 <= c < len(session.table.classes):
        ui.label("There is no such class.").classes("screen")
        return
    await _Class(session, c).build()


class _Class:
    """Curve, histogram, counts and images of a class; all follow the threshold."""

    def __init__(self, session: Session, c: int) -> None:
        self._session = session
        self._c = c
        self._strip = "unsure" if session.labels is None else "false_positive"
        self._drawn = 0

    async def build(self) -> None:
        session, c = self._session, self._c
        name = visible(session.table.classes[c])
        with ui.element("div").classes("screen"):
            with ui.element("div").classes("filters"):
                ui.html(html("<h2>{name}</h2>", name=name), sanitize=False)
                ui.link(
                    "gallery", gallery_of(session.table, Query(class_index=c, kind="predicted"))
                )
                ui.element("div").classes("space")
                self._other_class()
            busy = ui.label("sorting").classes("soft")
            body = ui.element("div").style("display: contents")
        self._curve: ClassCurve = await asyncio.to_thread(session.subject.curve, c)
        busy.delete()
        with body:
            self._threshold_panel()
            with ui.element("div").classes("panels"):
                self._charts()
            self._images()
            build_saving(session)
        await self._follow()

    def _other_class(self) -> None:
        names = {c: visible(name) for c, name in enumerate(self._session.table.classes)}
        ui.select(
            names,
            value=self._c,
            label="Class",
            with_input=True,
            on_change=lambda event: ui.navigate.to(f"/class/{event.value}"),
        ).props("dense outlined options-dense")

    def _threshold_panel(self) -> None:
        with ui.element("div").classes("panel").style("display: grid; gap: 10px"):
            with ui.element("div").classes("filters"):
                self._number = (
                    ui.number(
                        "Threshold", value=self._value(), min=0, max=1, step=0.01, format="%.6g"
                    )
                    .props('dense outlined debounce=200 aria-label="Threshold"')
                    .style("width: 130px")
                    .on_value_change(self._typed)
                )
                self._buttons()
            self._slider = (
                ui.slider(min=0, max=1, step=_STEP, value=min(1.0, self._value()))
                .props('aria-label="Threshold"')
                .on("update:model-value", self._dragged, throttle=0.08)
            )
            self._counts = ui.html("", sanitize=False).classes("counts").props('role="status"')

    def _buttons(self) -> None:
        curve = self._curve
        best, precise = curve.best_f1(), curve.at_precision(_PRECISION)
        own = float(str(self._session.table.thresholds[self._c]))
        for text, value, why in (
            ("best F1", best, "The threshold with the greatest F1 on the held-out images"),
            (
                f"precision {_PRECISION:g}",
                precise,
                f"The greatest recall at precision {_PRECISION}",
            ),
            ("as predicted", own, "The threshold of the predictions"),
        ):
            button = ui.button(text, on_click=lambda value=value: self._set(value))
            button.props("outline dense no-caps padding='2px 10px'").tooltip(why)
            button.set_enabled(value is not None)

    def _charts(self) -> None:
        curve = self._curve
        labeled = curve.labeled
        if labeled:
            _, precision, recall = curve.points()
            with ui.element("div").classes("panel"):
                area = share(curve.average_precision)
                ui.html(f"<h2>Precision and recall, AP {area}</h2>", sanitize=False)
                options = charts.precision_recall(recall, precision)
                self._recall = ui.echart(options).classes("chart")
        with ui.element("div").classes("panel"):
            ui.html("<h2>Images by probability</h2>", sanitize=False)
            edges, present, others = curve.histogram()
            options = charts.histogram(edges, present if labeled else None, others, log=True)
            self._histogram = ui.echart(options).classes("chart")
        if labeled:
            with ui.element("div").classes("panel"):
                ui.html("<h2>Reliability</h2>", sanitize=False)
                bins = reliability(curve.present.astype(np.int8)[:, None], curve.scores[:, None])
                points = (bins.mean_probability, bins.share_present, bins.decisions)
                ui.echart(charts.reliability(*(part.tolist() for part in points))).classes("chart")

    def _images(self) -> None:
        kinds = {
            kind: text
            for kind, text in _STRIPS.items()
            if self._session.labels is not None or kind == "unsure"
        }
        with ui.element("div").classes("filters"):
            ui.toggle(kinds, value=self._strip, on_change=self._on_strip).props(
                "no-caps dense unelevated padding='2px 10px'"
            ).style("flex-wrap: wrap")
            ui.element("div").classes("space")
            self._link = ui.link("all of them", "/gallery")
        self._grid = ui.html("", sanitize=False).classes("strip")
        if self._session.labels is not None:
            ui.html(LEGEND, sanitize=False)

    async def _on_strip(self, event: Any) -> None:
        self._strip = event.value
        await self._follow()

    def _value(self) -> float:
        return float(str(self._session.thresholds[self._c]))

    async def _dragged(self, event: GenericEventArguments) -> None:
        await self._set(float(event.args), moved=self._slider)

    async def _typed(self, event: Any) -> None:
        stale = event.value != self._number.value  # the slider has moved on meanwhile
        if not stale and event.value is not None and 0 <= event.value <= 1:
            await self._set(float(event.value), moved=self._number)

    async def _set(self, value: float, *, moved: ui.element | None = None) -> None:
        """Decide with a threshold.

        Args:
            value: the threshold.
            moved: where it was set, which is left alone: it may have been moved on meanwhile.
        """
        if np.float32(value) == self._session.thresholds[self._c]:
            return
        self._session.set_threshold(self._c, value)
        if moved is not self._number:
            self._number.set_value(value)
        if moved is not self._slider:
            self._slider.set_value(min(1.0, value))
        await self._follow()

    async def _follow(self) -> None:
        """Show what the threshold gives; a later one that is set meanwhile wins."""
        self._drawn = turn = self._drawn + 1
        value = self._value()
        self._counts.set_content(self._count_texts(value))
        self._histogram.options["series"][0]["markLine"] = charts.mark_at(value)
        if self._curve.labeled:
            counts = self._curve.at(value)
            series = self._recall.options["series"][0]
            series["markPoint"] = charts.point_at(counts.recall, counts.precision)
        session = self._session
        query = self._query()
        self._link.props(f'href="{gallery_of(session.table, query)}"')
        rows = await asyncio.to_thread(
            select, session.table, session.labels, session.thresholds.copy(), query
        )
        if turn == self._drawn:
            self._grid.set_content(tiles(session, rows[:_STRIP], View(query), c=self._c))

    def _query(self) -> Query:
        kind = self._strip
        descending = kind == "false_positive"
        sort = "margin" if kind in ("unsure", "true_positive") else "score"
        return Query(
            class_index=self._c,
            kind=kind,
            sort=sort,
            descending=descending,
            held_out=self._session.labels is not None,
        )

    def _count_texts(self, value: float) -> Markup:
        if not self._curve.labeled:
            cells = [("predicted", number(self._curve.predicted(value)))]
            cells.append(("images", number(len(self._curve.scores))))
        else:
            counts = self._curve.at(value)
            cells = [
                ("true positives", number(counts.true_positives)),
                ("false positives", number(counts.false_positives)),
                ("false negatives", number(counts.false_negatives)),
                ("true negatives", number(counts.true_negatives)),
                ("precision", share(counts.precision)),
                ("recall", share(counts.recall)),
                ("F1", share(counts.f1)),
                ("IoU", share(counts.iou)),
            ]
        return Markup("").join(
            html(
                '<div class="figure" data-name="{name}"><b>{value}</b><span>{name}</span></div>',
                name=name,
                value=text,
            )
            for name, text in cells
        )
