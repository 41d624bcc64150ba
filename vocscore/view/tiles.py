"""Thumbnails as links, with the labels of their images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from vocscore.models.probabilities import decide
from vocscore.reporting.texts import chips, html, short, visible
from vocscore.view.images import image_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from vocscore.view.address import View
    from vocscore.view.session import Session, Subject

LEGEND = Markup(
    '<div class="legend"><span class="chip tp">right</span><span class="chip fp">predicted, not '
    'labeled</span><span class="chip fn">labeled, not predicted</span></div>'
)
_TILE = (
    '<a class="tile" href="{href}" title="{path}">'
    '<img loading="lazy" src="{image}" alt="{path}">'
    '<div class="about"><div class="chips">{chips}</div><div class="path">{note}{path}</div></div>'
    "</a>"
)


def tiles(
    session: Session,
    rows: Iterable[int],
    view: View,
    *,
    subject: Subject | None = None,
    c: int | None = None,
) -> Markup:
    """Thumbnails of rows.

    Args:
        session: the tab.
        rows: of the table.
        view: the gallery that they are part of, for 'next' and 'previous'.
        subject: whose rows; None: the first run.
        c: a class whose probability is shown before the path.
    """
    subject = subject or session.subject
    return Markup("").join(_tile(session, subject, int(row), view, c) for row in rows)


def _tile(session: Session, subject: Subject, row: int, view: View, c: int | None) -> Markup:
    table = subject.table
    path = visible(table.path(row))
    if table.failed[row]:
        reason = table.reasons[table.reason[row]]
        marks = html('<span class="chip fp">{}</span>'.replace("{}", "{reason}"), reason=reason)
    else:
        marks = chips(
            table.classes,
            table.row(row),
            predicted_row(session, subject, row),
            None if subject.labels is None else subject.labels.row(row),
        )
    note = "" if c is None else f"{short(float(table.row(row)[c]))} · "
    return html(
        _TILE,
        href=view.address(table, f"/show/{subject.number}/{row}"),
        path=path,
        image=image_url(subject, row),
        chips=marks,
        note=note,
    )


def predicted_row(session: Session, subject: Subject, row: int) -> NDArray[np.bool_]:
    """The classes of an image at the tab's thresholds, bool (C,).

    Where a probability was not written, the label in the predictions decides.
    """
    table = subject.table
    probabilities = table.row(row)
    if table.failed[row]:
        return np.zeros(len(table.classes), np.bool_)
    same = len(session.thresholds) == len(table.classes)
    thresholds = session.thresholds if same else table.thresholds
    found = decide(probabilities, thresholds, table.activation)
    return np.where(np.isnan(probabilities), table.decided_row(row), found)
