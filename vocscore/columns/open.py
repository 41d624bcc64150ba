"""Opens predictions as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.columns.build import finished_columns
from vocscore.columns.follow import Follower, output_of, work_folder_of
from vocscore.columns.table import Table
from vocscore.errors import EvalError, RecordError
from vocscore.evaluation.seen import place_of_record
from vocscore.records.score_record import STARTED, read_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.columns.layout import Columns
    from vocscore.records.score_record import ScoreRecord


def open_table(source: Path, *, on_rows: Callable[[int], None] | None = None) -> Table:
    """Open predictions of any form that `vocscore score` writes.

    Args:
        source: a file, a folder of parts, or an unfinished run: its output, or `OUTPUT.parts`.
        on_rows: called with the number of rows read so far, if they are read.

    Raises:
        EvalError: it is not predictions.
        OSError: it cannot be read.
    """
    work = work_folder_of(source)
    if work is not None:
        return _unfinished(source, work)
    if not source.exists():
        raise EvalError(f"{source}: no such file or folder. Name what 'vocscore score' wrote.")
    record = _record(place_of_record(source))
    columns = finished_columns(source, known=_classes(record), on_rows=on_rows)
    return Table(source, columns, record=record)


def _unfinished(source: Path, work: Path) -> Table:
    """Open a run that is still being written."""
    record = _record(work / STARTED)
    follower = Follower(work, known=_classes(record))
    follower.refresh()

    def refresh() -> tuple[Columns, bool] | None:
        if not work.exists():  # finished; the output has every row
            return finished_columns(output_of(work), known=_classes(record), on_rows=None), True
        return (follower.columns(), False) if follower.refresh() else None

    columns = follower.columns()
    if not columns.about.classes:
        raise EvalError(
            f"{source}: this unfinished run has no rows yet, and does not say its classes. Wait "
            "until its first part is written."
        )
    return Table(source, columns, record=record, refresh=refresh)


def _record(file: Path) -> ScoreRecord | None:
    try:
        return read_record(file)
    except RecordError:
        return None


def _classes(record: ScoreRecord | None) -> tuple[str, ...] | None:
    return None if record is None else record.model.classes
