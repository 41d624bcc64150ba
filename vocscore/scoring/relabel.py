"""Changes the labels of predictions to those of other thresholds, without scoring again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vocscore.columns.open import open_table
from vocscore.errors import ScoreError
from vocscore.printed import Printed
from vocscore.records.thresholds_file import read_thresholds
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.output.existing import refuse_existing
from vocscore.scoring.relabeled_file import RelabeledFile, has_pairs, own_thresholds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class RelabelReport(Printed):
    """The result of changing labels.

    Attributes:
        rows: of the output.
        errors: of them, without labels.
        changed: number of decisions that differ from those in the predictions.
        changed_rows: number of rows with such a decision.
        output: path of the rows.
        decimals: to which the probabilities are rounded; None: they are exact.
    """

    rows: int
    errors: int
    changed: int
    changed_rows: int
    output: Path
    decimals: int | None = None

    def __str__(self) -> str:
        """Return the counts and the path."""
        return (
            f"{self.rows} images, {self.errors} errors; {self.changed} decisions changed in "
            f"{self.changed_rows} images: {self.output}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        counts = ("rows", "errors", "changed", "changed_rows", "decimals")
        return {**{name: getattr(self, name) for name in counts}, "output": str(self.output)}


def relabel(
    predictions: Path,
    output: Path,
    *,
    thresholds_file: Path,
    overwrite: bool = False,
    on_stage: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RelabelReport:
    """Write predictions again, with the labels that other thresholds give.

    Rows, order and probabilities stay. The format is that of the output's suffix; a folder of parts
    becomes a folder in the same format.

    Args:
        predictions: a file with all probabilities, or a folder of parts.
        output: to be written; it appears when it is complete.
        thresholds_file: class -> threshold; a class that is not in it keeps the threshold of the
            record beside the predictions, or 0.5 without one.
        overwrite: replace an existing output.
        on_stage: called with the name of the stage that begins.
        progress: called with the rows done and their number.

    Returns:
        How many decisions changed.

    Raises:
        ThresholdsError: the file of thresholds cannot be used.
        ScoreError: a probability was not written, or the output exists or cannot be written.
        EvalError: they are not predictions.
        OSError: they cannot be read.
    """
    stage = on_stage or (lambda _name: None)
    folder_format = _format_of(predictions) if predictions.is_dir() else None
    choice = choose(output, folder_format=folder_format)
    if output.absolute() == predictions.absolute():
        raise ScoreError(
            f"{output}: these are the predictions themselves. Choose another `output`."
        )
    refuse_existing(output, overwrite=overwrite, folder=choice.folder)
    stage("reading predictions")
    table = open_table(predictions)
    if not table.complete or not table.columns.about.has_all or has_pairs(table):
        raise ScoreError(
            f"{predictions}: has not every probability (written with `top_k`, `min_probability` or "
            "`columns='labels'`, or unfinished), so labels cannot be decided. Score with "
            "`thresholds_file` instead."
        )
    given = read_thresholds(thresholds_file, table.classes)
    thresholds = [
        given.get(name, value)
        for name, value in zip(table.classes, own_thresholds(table), strict=True)
    ]
    stage("writing")
    writer = RelabeledFile(table, thresholds, choice, output)
    writer.write(progress or (lambda _done, _total: None))
    return RelabelReport(
        rows=table.rows,
        errors=int(table.failed.sum()),
        changed=writer.changed,
        changed_rows=writer.changed_rows,
        output=output,
        decimals=writer.decimals,
    )


def _format_of(folder: Path) -> str | None:
    """The format of a folder of parts."""
    parts = sorted(path.suffix for path in folder.iterdir() if path.name.startswith("part-"))
    return parts[0].removeprefix(".") if parts else "csv"
