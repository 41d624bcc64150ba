"""Writes out-of-fold predictions of a training in the format of scoring, with their record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shards import atomic
from vocscore.errors import ScoreError
from vocscore.records.score_record import record_file
from vocscore.scoring.formats.choice import FIXED_COLUMNS, Choice
from vocscore.scoring.formats.csv_format import CsvFormat
from vocscore.scoring.formats.selection import EVERYTHING
from vocscore.scoring.output.describe import describe_out_of_fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from vocscore.models.card import ModelCard
    from vocscore.scoring.output.rows import Rows


def check_out_of_fold(classes: Sequence[str]) -> None:
    """Refuse classes that cannot be columns of the file.

    Raises:
        ScoreError: a class has the name of another column.
    """
    taken = [name for name in classes if name in FIXED_COLUMNS["csv"]]
    if taken:
        raise ScoreError(
            f"the class {taken[0]!r} has the name of another column of out-of-fold predictions. "
            "Leave out `folds`, or rename the class and pack again."
        )


def write_out_of_fold(
    file: Path,
    rows: Rows,
    card: ModelCard,
    *,
    shards: Path,
    folds: int,
    settings: Mapping[str, Any],
    started: str,
    command: str | None,
) -> None:
    """Write the rows, then their record.

    Args:
        file: in the folder of the run, which has its checkpoint.
        rows: one per image.
        card: of the run's model; its thresholds decide the labels.
        shards: the packed dataset.
        folds: as for `ScoreRecord`.
        settings: as for `describe_out_of_fold`.
        started: as for `ScoreRecord`.
        command: as for `ScoreRecord`.

    Raises:
        OSError: a file cannot be written.
    """
    record_file(file).unlink(missing_ok=True)  # not beside other rows, if this is interrupted
    with atomic.replacing(file) as opened:
        CsvFormat(card.classes, card.decision_threshold, alone=True).write(opened, rows)
    record = describe_out_of_fold(
        rows.names,
        card=card,
        run=file.parent,
        shards=shards,
        folds=folds,
        settings=settings,
        output={
            **Choice("csv", folder=False).to_json(),
            **EVERYTHING.to_json(),
            "bytes": file.stat().st_size,
        },
        started=started,
        command=command,
    )
    atomic.write(record_file(file), record)
