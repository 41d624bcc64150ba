"""One image, large, with all its probabilities."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from markupsafe import Markup
from nicegui import ui

from shards.errors import BadImage
from vocscore.columns.query import select
from vocscore.reporting.texts import chips, html, number, visible
from vocscore.view.address import PAGE_SIZE, View
from vocscore.view.images import LARGE_SIDE, image_url
from vocscore.view.tiles import predicted_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nicegui.events import KeyEventArguments

    from vocscore.thumbnails.thumbnail import Facts
    from vocscore.view.session import Session, Subject

_TURNED: Final = {
    1: "upright",
    2: "mirrored",
    3: "turned by 180°",
    4: "mirrored and turned by 180°",
    5: "mirrored and turned by 270°",
    6: "turned by 90°",
    7: "mirrored and turned by 90°",
    8: "turned by 270°",
}
"""EXIF orientation -> how the stored pixels are turned to be upright."""
_LABELS: Final = {1: "present", 0: "absent", -1: "difficult (not counted)", -2: "no label"}


async def build_image(
    session: Session, number_text: str, row_text: str, given: Mapping[str, str]
) -> None:
    """Build the screen."""
    subject = _subject(session, number_text)
    row = int(row_text) if row_text.isascii() and row_text.isdigit() else -1
    if subject is None or not 0 <= row < subject.table.rows:
        ui.label("There is no such image.").classes("screen")
        return
    view = View.from_address(given, subject.table)
    with ui.element("div").classes("screen"):
        with ui.element("div").classes("filters"):
            ui.link("Back to the gallery", view.address(subject.table))
            ui.element("div").classes("space")
            place = ui.label().classes("soft")
            previous = ui.button(icon="chevron_left").props(
                'flat dense round aria-label="Previous"'
            )
            following = ui.button(icon="chevron_right").props('flat dense round aria-label="Next"')
        with ui.element("div").classes("detail"):
            path = visible(subject.table.path(row))
            ui.html(
                html(
                    '<img class="large" src="{src}" alt="{path}">',
                    src=image_url(subject, row, LARGE_SIDE),
                    path=path,
                ),
                sanitize=False,
            )
            with ui.element("div").classes("panel").style("display: grid; gap: 12px"):
                facts = _about(session, subject, row)
        ui.html(
            "<kbd>←</kbd> <kbd>→</kbd> or <kbd>j</kbd> <kbd>k</kbd> previous and next, "
            "<kbd>Esc</kbd> back",
            sanitize=False,
        ).classes("keys soft")
    labels, thresholds = subject.labels, session.thresholds.copy()
    facts.set_text(await asyncio.to_thread(_facts_text, subject, row))
    rows = await asyncio.to_thread(select, subject.table, labels, thresholds, view.query)
    at = np.flatnonzero(rows == row)
    position = int(at[0]) if len(at) else -1
    place.set_text(f"{position + 1:,} of {len(rows):,}" if len(at) else "")

    def go(step: int) -> None:
        there = position + step
        if len(at) and 0 <= there < len(rows):
            beside = replace(view, page=there // PAGE_SIZE)
            target = f"/show/{subject.number}/{int(rows[there])}"
            ui.navigate.to(beside.address(subject.table, target))

    def on_key(event: KeyEventArguments) -> None:
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.alt:
            return
        name = event.key.name
        if name in ("ArrowLeft", "k"):
            go(-1)
        elif name in ("ArrowRight", "j"):
            go(1)
        elif name == "Escape":
            ui.navigate.to(view.address(subject.table))

    previous.on_click(lambda: go(-1))
    following.on_click(lambda: go(1))
    previous.set_enabled(position > 0)
    following.set_enabled(0 <= position < len(rows) - 1)
    ui.keyboard(on_key, repeating=False)


def _subject(session: Session, text: str) -> Subject | None:
    return next((each for each in session.subjects if str(each.number) == text), None)


def _about(session: Session, subject: Subject, row: int) -> ui.label:
    """Build the texts, and return the label of what the file says."""
    table, labels = subject.table, subject.labels
    ui.label(visible(table.path(row))).classes("path-line")
    facts = ui.label("reading the file").classes("soft")
    if table.failed[row]:
        reason, detail = table.reasons[table.reason[row]], table.detail(row)
        ui.html(
            html('<span class="chip fp">{reason}</span> {detail}', reason=reason, detail=detail),
            sanitize=False,
        )
        return facts
    truth = None if labels is None else labels.row(row)
    predicted = predicted_row(session, subject, row)
    marks = chips(table.classes, table.row(row), predicted, truth, most=20)
    ui.html(marks or Markup("no class predicted"), sanitize=False).classes("chips")
    if labels is not None and labels.has[row]:
        split = labels.split_names[labels.split[row]]
        used = "the model was trained on it" if labels.trained[row] else "held out"
        ui.label(f"split {split}, {used}").classes("soft")
    ui.html(_bars(session, subject, row), sanitize=False).classes("bars")
    return facts


def _bars(session: Session, subject: Subject, row: int) -> Markup:
    """All probabilities, the largest first, with thresholds as marks."""
    table = subject.table
    probabilities, predicted = table.row(row), predicted_row(session, subject, row)
    truth = None if subject.labels is None else subject.labels.row(row)
    same = len(session.thresholds) == len(table.classes)
    thresholds = session.thresholds if same else table.thresholds
    order = np.argsort(-np.nan_to_num(probabilities, nan=-1), kind="stable")
    return Markup("").join(
        html(
            '<span class="row-name">{name}</span>'
            '<span class="track {on}" title="threshold {threshold}"><span class="fill" '
            'style="width: {width:.1f}%"></span><span class="mark" style="left: {mark:.1f}%">'
            '</span></span><span class="row-value">{value}{label}</span>',
            name=visible(table.classes[c]),
            on="on" if predicted[c] else "",
            threshold=f"{thresholds[c]:g}",
            width=100 * float(np.nan_to_num(probabilities[c])),
            mark=100 * min(float(thresholds[c]), 1.0),
            value="not written" if np.isnan(probabilities[c]) else f"{probabilities[c]:.3f}",
            label="" if truth is None or truth[c] == 0 else f" · {_LABELS[int(truth[c])]}",
        )
        for c in order
    )


def _facts_text(subject: Subject, row: int) -> str:
    try:
        found: Facts = subject.thumbnails.facts(row)
    except BadImage as error:
        return str(error.fault)
    turned = _TURNED[found.orientation]
    return (
        f"{found.format}, {found.width} x {found.height} pixels, orientation {found.orientation} "
        f"({turned}), {number(found.bytes)} bytes"
    )
