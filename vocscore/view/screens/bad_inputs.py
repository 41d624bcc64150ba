"""Bad inputs: each reason with its rows, and what can be seen of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from markupsafe import Markup
from nicegui import ui

from vocscore.columns.query import Query
from vocscore.reporting.texts import counted, html, visible
from vocscore.view.address import View, gallery_of
from vocscore.view.images import image_url

if TYPE_CHECKING:
    from vocscore.view.session import Session

_SHOWN: Final = 24
"""Rows of each reason; the others are in the gallery."""
_ROW: Final = (
    '<a class="tile" href="{href}" title="{path}"><img loading="lazy" src="{image}" alt="{path}">'
    '<div class="about"><div>{detail}</div><div class="path">{path}</div></div></a>'
)


def build_bad_inputs(session: Session) -> None:
    """Build the screen."""
    table = session.table
    with ui.element("div").classes("screen"):
        failed = int(table.failed.sum())
        ui.label(f"{counted(failed, 'bad input')} of {table.rows:,} rows").classes("soft")
        for place, reason in enumerate(table.reasons[1:], 1):
            rows = np.flatnonzero(table.reason == place)
            if not len(rows):
                continue
            query = Query(kind="error", reason=reason)
            ui.html(
                html(
                    '<h2><a href="{href}">{reason}</a> <span class="soft">{count}</span></h2>',
                    href=gallery_of(table, query),
                    reason=visible(reason),
                    count=counted(len(rows), "row"),
                ),
                sanitize=False,
            )
            view = View(query)
            cards = (_card(session, int(row), view) for row in rows[:_SHOWN])
            ui.html(Markup("").join(cards), sanitize=False).classes("grid")
            if len(rows) > _SHOWN:
                ui.link(f"all {len(rows):,} rows", gallery_of(table, query))
        if not failed:
            ui.label("Every input could be read.")


def _card(session: Session, row: int, view: View) -> Markup:
    subject = session.subject
    return html(
        _ROW,
        href=view.address(subject.table, f"/show/{subject.number}/{row}"),
        path=visible(subject.table.path(row)),
        image=image_url(subject, row),
        detail=visible(subject.table.detail(row)) or "no detail",
    )
