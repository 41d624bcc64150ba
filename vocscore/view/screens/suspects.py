"""Suspects: labels that a confident model contradicts, to be corrected with a key."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup
from nicegui import ui

from vocscore.columns.suspects import SuspectRows, suspect_rows
from vocscore.reporting.texts import html, visible
from vocscore.view.address import View
from vocscore.view.corrections import CorrectionsFile
from vocscore.view.images import LARGE_SIDE, image_url
from vocscore.view.tiles import tiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from nicegui.events import KeyEventArguments

    from vocscore.columns.labels import Labels
    from vocscore.view.session import Session

_AHEAD: Final = 8
"""Thumbnails of the suspects that follow."""
_WORDS: Final = {1: "present", 0: "absent", -1: "difficult"}
_KEYS: Final = (
    "<kbd>c</kbd> correct the label, <kbd>d</kbd> drop the image, <kbd>u</kbd> undo, "
    "<kbd>←</kbd> <kbd>→</kbd> previous and next"
)


async def build_suspects(session: Session) -> None:
    """Build the screen."""
    labels = session.labels
    if labels is None:
        with ui.element("div").classes("screen"):
            ui.label(
                "Suspects need labels: open the page with a packed set as its labels."
            ).classes("note")
        return
    await _Suspects(session, labels).build()


class _Suspects:
    """One suspicious label at a time."""

    def __init__(self, session: Session, labels: Labels) -> None:
        self._session = session
        self._labels = labels
        self._corrections = CorrectionsFile(session.beside("corrections.csv"))
        self._found: SuspectRows | None = None
        self._at = 0

    async def build(self) -> None:
        labels = self._labels
        with ui.element("div").classes("screen"):
            self._notes()
            with ui.element("div").classes("filters"):
                names = {-1: "all classes"}
                names |= {c: visible(n) for c, n in enumerate(self._session.table.classes)}
                ui.select(names, value=-1, label="Class", on_change=self._on_class).props(
                    "dense outlined options-dense use-input"
                )
                self._place = ui.label().props('role="status"')
                ui.element("div").classes("space")
                self._buttons()
            with ui.element("div").classes("detail"):
                self._image = ui.html("", sanitize=False)
                with ui.element("div").classes("panel").style("display: grid; gap: 12px"):
                    self._about = ui.html("", sanitize=False)
                    self._state = ui.html("", sanitize=False)
            ui.html(_KEYS, sanitize=False).classes("keys soft")
            self._next = ui.html("", sanitize=False).classes("strip")
            self._file = ui.label().classes("soft path-line")
        ui.keyboard(self._on_key, repeating=False)
        self._rows = labels.held_out if labels.held_out.any() else labels.has
        await self._find(None)

    def _notes(self) -> None:
        labels = self._labels
        if not labels.held_out.any():
            text = "The model was trained on every one of these images"
        elif labels.left_out:
            text = f"{labels.left_out:,} images are left out, because the model was trained on them"
        else:
            return
        ui.label(
            f"{text}, and a model rarely contradicts what it has learned. Training with 5 folds "
            "writes predictions for every labeled image by a model that has not seen it "
            "(out_of_fold.csv in the run): look at those."
        ).classes("note")

    def _buttons(self) -> None:
        for text, action in (
            ("Correct", self._correct),
            ("Drop", self._drop),
            ("Undo", self._undo),
        ):
            ui.button(text, on_click=action).props("outline dense no-caps padding='2px 10px'")
        for icon, text, step in (
            ("chevron_left", "Previous", -1),
            ("chevron_right", "Next", 1),
        ):
            ui.button(icon=icon, on_click=partial(self._go, step)).props(
                f'flat dense round aria-label="{text}"'
            )

    async def _on_class(self, event: Any) -> None:
        await self._find(None if event.value in (None, -1) else int(event.value))

    async def _find(self, c: int | None) -> None:
        self._found = await asyncio.to_thread(
            suspect_rows, self._session.table, self._labels, rows=self._rows, c=c
        )
        self._at = 0
        self._show()

    def _go(self, step: int) -> None:
        if self._found is not None and 0 <= self._at + step < len(self._found.rows):
            self._at += step
            self._show()

    def _on_key(self, event: KeyEventArguments) -> None:
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.alt:
            return
        actions: dict[str, Callable[[], None]] = {
            "c": self._correct,
            "d": self._drop,
            "u": self._undo,
            "ArrowLeft": partial(self._go, -1),
            "ArrowRight": partial(self._go, 1),
        }
        action = actions.get(event.key.name)
        if action:
            action()

    def _current(self) -> tuple[int, int, str, str, int] | None:
        """Row, class, path in the set, name of the class, and label of the current suspect."""
        if self._found is None or not len(self._found.rows):
            return None
        row, c = int(self._found.rows[self._at]), int(self._found.classes[self._at])
        name = self._session.table.classes[c]
        return row, c, self._labels.name(row), name, int(self._labels.row(row)[c])

    def _correct(self) -> None:
        current = self._current()
        if current is not None:
            _, _, path, name, label = current
            self._after(done=self._corrections.correct(path, name, 1 - label))

    def _drop(self) -> None:
        current = self._current()
        if current is not None:
            self._after(done=self._corrections.drop(current[2], dropped=True))

    def _undo(self) -> None:
        current = self._current()
        if current is None:
            return
        _, _, path, name, label = current
        if self._corrections.is_dropped(path):
            self._corrections.drop(path, dropped=False)
        if self._corrections.value(path, name) not in (None, label):
            self._corrections.correct(path, name, label)
        self._show()

    def _after(self, *, done: bool) -> None:
        """Go on after a correction; stay if it could not be written."""
        if not done:
            problem = visible(self._corrections.problem)
            ui.notify(problem, type="negative", timeout=0, close_button=True)
        last = self._found is None or self._at + 1 >= len(self._found.rows)
        if done and not last:
            self._at += 1
        self._show()

    def _show(self) -> None:
        current, corrections = self._current(), self._corrections
        told = corrections.problem or (
            f"{corrections.count:,} corrections in {corrections.file}. Pack again with the same "
            "options and this file as corrections"
        )
        self._file.set_text(visible(told))
        if current is None or self._found is None:
            self._place.set_text("no suspicious label")
            for element in (self._image, self._about, self._state, self._next):
                element.set_content("")
            return
        row, c, path, name, label = current
        subject = self._session.subject
        self._place.set_text(f"{self._at + 1:,} of {len(self._found.rows):,}")
        self._image.set_content(
            html(
                '<a href="/show/0/{row}"><img class="large" src="{src}" alt="{path}"></a>',
                row=row,
                src=image_url(subject, row, LARGE_SIDE),
                path=visible(path),
            )
        )
        probability = float(subject.table.row(row)[c])
        self._about.set_content(_about(visible(name), label, probability, path))
        self._state.set_content(self._state_text(path, name, label))
        ahead = self._found.rows[self._at + 1 : self._at + 1 + _AHEAD]
        self._next.set_content(tiles(self._session, ahead, View()))

    def _state_text(self, path: str, name: str, label: int) -> Markup:
        value = self._corrections.value(path, name)
        if self._corrections.is_dropped(path):
            return Markup('<span class="chip fp">dropped</span>')
        if value is None or value == label:
            return Markup('<span class="soft">not corrected</span>')
        return html('<span class="chip tp">corrected: {word}</span>', word=_WORDS[value])


def _about(name: str, label: int, probability: float, path: str) -> Markup:
    return html(
        '<div class="figures"><div class="figure"><b>{name}</b><span>class</span></div>'
        '<div class="figure"><b>{word}</b><span>labeled</span></div>'
        '<div class="figure"><b>{probability:.3f}</b><span>probability</span></div></div>'
        '<div class="path-line">{path}</div>',
        name=name,
        word=_WORDS[label],
        probability=probability,
        path=visible(path),
    )
