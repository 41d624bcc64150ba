"""Saves the thresholds of a tab, and shows the commands that use them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from nicegui import ui

from vocscore.errors import ThresholdsError
from vocscore.records.thresholds_file import read_thresholds, write_thresholds
from vocscore.reporting.texts import counted, html, visible

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.view.session import Session


def build_saving(session: Session) -> None:
    """Build the panel that saves thresholds."""

    def save() -> None:
        file = session.beside("thresholds.json")
        problem = _save(session, file)
        with place.clear():
            if problem:
                ui.label(visible(problem)).classes("note")
                return
            ui.label(f"Saved: {visible(str(file))}")
            ui.label("Change the labels without scoring again:").classes("soft")
            ui.html(_command(_relabel(session, file)), sanitize=False)
            ui.label("Use them when scoring:").classes("soft")
            ui.html(_command(_score(session, file)), sanitize=False)

    with ui.element("div").classes("panel").style("display: grid; gap: 8px"):
        with ui.element("div").classes("filters"):
            told = ui.label()
            ui.element("div").classes("space")
            ui.button("Save thresholds", on_click=save).props(
                "outline dense no-caps padding='2px 10px'"
            )
        place = ui.element("div").style("display: grid; gap: 6px")

    def tell() -> None:
        moved = len(session.moved)
        told.set_text(
            f"{counted(moved, 'class')} with another threshold than in the predictions"
            if moved
            else "thresholds as in the predictions"
        )

    tell()
    ui.timer(0.5, tell)


def _save(session: Session, file: Path) -> str:
    """Write the file; why it cannot be written, or ''."""
    try:
        if file.exists():
            read_thresholds(file, session.table.classes)  # another file is not replaced
        write_thresholds(file, session.all_thresholds())
    except ThresholdsError as error:
        return f"{error} It is not replaced; move it away."
    except OSError as error:
        return f"{file}: cannot be written: {str(error.strerror).lower()}."
    return ""


def _relabel(session: Session, file: Path) -> list[str]:
    source = session.table.source
    new = source.with_name(f"{source.stem}-relabeled{source.suffix}")
    return ["vocscore", "relabel", str(source), "--thresholds-file", str(file), "-o", str(new)]


def _score(session: Session, file: Path) -> list[str]:
    record = session.table.record
    model, source = ("RUN", "SRC") if record is None else (record.model.path, _source(session))
    return [
        *("vocscore", "score", source, "-m", model),
        *("--thresholds-file", str(file), "-o", "predictions.csv"),
    ]


def _source(session: Session) -> str:
    record = session.table.record
    assert record is not None, "asked for"
    return str(record.source.get("path") or record.source.get("given") or "SRC")


def _command(words: list[str]) -> str:
    return html('<code class="command">{command}</code>', command=visible(shlex.join(words)))
