"""The gallery: thumbnails of the rows that a query selects."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from vocscore.columns.query import NEED_LABELS, Query, select
from vocscore.reporting.texts import counted, visible
from vocscore.view.address import PAGE_SIZE, View
from vocscore.view.tiles import LEGEND, tiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from nicegui.events import KeyEventArguments
    from numpy.typing import NDArray

    from vocscore.view.session import Session

_KINDS: Final = {
    "all": "all images",
    "predicted": "predicted",
    "true_positive": "right (true positives)",
    "false_positive": "wrong (false positives)",
    "false_negative": "missed (false negatives)",
    "true_negative": "rightly absent (true negatives)",
    "unsure": "unsure (near the threshold)",
    "error": "errors",
}
_SORTS: Final = {
    "path": "order of rows",
    "score": "probability",
    "margin": "distance from the threshold",
    "loss": "loss",
}
ANY: Final = "any class"


async def build_gallery(session: Session, given: Mapping[str, str]) -> None:
    """Build the screen."""
    await _Gallery(session, View.from_address(given, session.table)).build()


class _Gallery:
    """The filters and the thumbnails."""

    def __init__(self, session: Session, view: View) -> None:
        self._session = session
        self._table = session.table
        self._view = view
        self._rows: NDArray[np.int32] | None = None

    async def build(self) -> None:
        with ui.element("div").classes("screen"):
            with ui.element("div").classes("panel filters"):
                self._filters()
            with ui.element("div").classes("filters"):
                self._count = ui.label().props('role="status"')
                ui.element("div").classes("space")
                with ui.element("div").classes("pager"):
                    self._pager()
            self._grid = ui.html("", sanitize=False).classes("grid")
            if self._session.labels is not None:
                ui.html(LEGEND, sanitize=False)
            ui.html(_KEYS, sanitize=False).classes("keys soft")
        ui.keyboard(self._on_key, repeating=False)
        await self._show()

    def _filters(self) -> None:
        query = self._view.query
        names = {-1: ANY, **{c: visible(name) for c, name in enumerate(self._table.classes)}}
        chosen = -1 if query.class_index is None else query.class_index
        self._class = _select(names, chosen, "Class", self._on_filter).props("use-input")
        kinds = {
            kind: text
            for kind, text in _KINDS.items()
            if self._session.labels is not None or kind not in NEED_LABELS
        }
        self._kind = _select(kinds, query.kind, "Show", self._on_filter)
        self._reason = _select(
            {"": "any reason", **{name: name for name in self._table.reasons[1:]}},
            query.reason or "",
            "Reason",
            self._on_filter,
        )
        sorts = {k: v for k, v in _SORTS.items() if k != "loss" or self._session.labels is not None}
        self._sort = _select(sorts, query.sort, "Sort by", self._on_filter)
        self._descending = ui.switch(
            "largest first", value=query.descending, on_change=self._on_filter
        )
        if self._session.labels is not None:
            self._held_out = ui.switch(
                "only held out", value=query.held_out, on_change=self._on_filter
            ).tooltip("Only labeled images that the model was not trained on")
        self._low = _bound("Probability from", query.low, self._on_filter)
        self._high = _bound("to", query.high, self._on_filter)
        self._text = (
            ui.input("Path contains", value=query.text, on_change=self._on_filter)
            .props("dense outlined clearable debounce=250")
            .style("min-width: 180px")
        )

    def _pager(self) -> None:
        for icon, text, move in (
            ("first_page", "First page", lambda: self._turn(-(1 << 40))),
            ("chevron_left", "Previous page", lambda: self._turn(-1)),
        ):
            ui.button(icon=icon, on_click=move).props(f'flat dense round aria-label="{text}"')
        self._page = ui.label()
        for icon, text, move in (
            ("chevron_right", "Next page", lambda: self._turn(1)),
            ("last_page", "Last page", lambda: self._turn(1 << 40)),
        ):
            ui.button(icon=icon, on_click=move).props(f'flat dense round aria-label="{text}"')

    async def _on_filter(self) -> None:
        low, high = self._low.value, self._high.value
        chosen = int(self._class.value) if self._class.value is not None else -1
        query = Query(
            class_index=None if chosen < 0 else chosen,
            kind=self._kind.value or "all",
            low=0.0 if low is None else min(1.0, max(0.0, float(low))),
            high=1.0 if high is None else min(1.0, max(0.0, float(high))),
            reason=self._reason.value or None,
            text=self._text.value or "",
            sort=self._sort.value or "path",
            descending=self._descending.value,
            held_out=self._session.labels is not None and self._held_out.value,
        )
        if query != self._view.query:
            self._view = self._view.with_query(query)
            self._rows = None
            await self._show()

    async def _turn(self, pages: int) -> None:
        page = min(max(0, self._view.page + pages), self._last())
        if page != self._view.page:
            self._view = replace(self._view, page=page)
            await self._show()

    def _last(self) -> int:
        return 0 if self._rows is None else max(0, (len(self._rows) - 1) // PAGE_SIZE)

    async def _on_key(self, event: KeyEventArguments) -> None:
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.alt:
            return
        moves = {"ArrowLeft": -1, "ArrowRight": 1, "Home": -(1 << 40), "End": 1 << 40}
        if event.key.name in moves:
            await self._turn(moves[event.key.name])

    async def _show(self) -> None:
        session, view = self._session, self._view
        if self._rows is None:
            self._rows = await asyncio.to_thread(
                select, self._table, session.labels, session.thresholds.copy(), view.query
            )
        if view is not self._view:  # another filter was set meanwhile
            return
        self._view = view = replace(view, page=min(view.page, self._last()))
        start = view.page * PAGE_SIZE
        shown = self._rows[start : start + PAGE_SIZE]
        self._reason.set_visibility(view.query.kind == "error")
        of_all = f" of {self._table.rows:,}"
        self._count.set_text(f"{counted(len(self._rows), 'image')}{of_all}")
        self._page.set_text(f"page {view.page + 1:,} of {self._last() + 1:,}")
        self._grid.set_content(tiles(session, shown, view, c=view.query.class_index))
        ui.navigate.history.replace(view.address(self._table))


def _select(options: dict[Any, str], value: Any, label: str, on_change: Any) -> ui.select:
    known = value if value in options else next(iter(options))
    return ui.select(options, value=known, label=label, on_change=on_change).props(
        "dense outlined options-dense"
    )


def _bound(label: str, value: float, on_change: Any) -> ui.number:
    return (
        ui.number(label, value=value, min=0, max=1, step=0.05, format="%g", on_change=on_change)
        .props("dense outlined debounce=250")
        .style("width: 120px")
    )


_KEYS: Final = (
    "<kbd>←</kbd> <kbd>→</kbd> page, <kbd>Home</kbd> <kbd>End</kbd> first and last page, "
    "<kbd>Tab</kbd> <kbd>Enter</kbd> open an image"
)
