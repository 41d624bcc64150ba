"""The table of all classes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from markupsafe import Markup
from nicegui import ui

from vocscore.columns import figures
from vocscore.reporting.texts import html, number, share, visible
from vocscore.view.thresholds import build_saving

if TYPE_CHECKING:
    from vocscore.view.session import Session


async def build_classes(session: Session) -> None:
    """Build the list of classes."""
    table = session.table
    with ui.element("div").classes("screen"):
        search = ui.input("Find a class").props("dense outlined clearable")
        with ui.element("div").classes("panel"):
            place = ui.html("computing", sanitize=False)
        build_saving(session)
    found = await asyncio.to_thread(figures.decided, table, session.thresholds.copy())
    judged = None
    if session.labels is not None:
        judged = await asyncio.to_thread(
            figures.judge, table, session.labels, session.thresholds.copy()
        )

    def show() -> None:
        wanted = (search.value or "").casefold()
        rows = [
            _class_row(session, c, int(found.predicted[c]), judged)
            for c, name in enumerate(table.classes)
            if wanted in name.casefold()
        ]
        columns = _COLUMNS[: 2 if judged is None else None]
        head = (html('<th class="n">{name}</th>', name=name) for name in columns)
        place.set_content(
            html(
                '<div style="overflow-x: auto"><table class="plain"><tr><th>class</th>{head}</tr>'
                "{rows}</table></div>",
                head=Markup("").join(head),
                rows=Markup("").join(rows),
            )
        )

    search.on_value_change(show)
    show()


_COLUMNS: Final = (
    *("threshold", "predicted", "labeled", "AP", "IoU", "precision", "recall", "F1"),
)


def _class_row(session: Session, c: int, predicted: int, judged: figures.Judged | None) -> Markup:
    cells = [f"{session.thresholds[c]:g}", number(predicted)]
    if judged is not None:
        one, points = judged.report.per_class, judged.report.average_precision
        cells += [number(one.positives[c]), share(points[c])]
        cells += [share(of[c]) for of in (one.iou, one.precision, one.recall, one.f1)]
    return html(
        '<tr><td><a href="/class/{c}">{name}</a></td>{cells}</tr>',
        c=c,
        name=visible(session.table.classes[c]),
        cells=Markup("").join(html('<td class="n">{v}</td>', v=cell) for cell in cells),
    )
