"""Writes predictions again with other labels."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from shards import atomic
from vocscore.columns.table import DEFAULT_THRESHOLD
from vocscore.errors import ScoreError
from vocscore.models.probabilities import decide, most_probable
from vocscore.records.score_record import record_file
from vocscore.records.top_k_columns import KEY
from vocscore.scoring.formats.numbers import Rounding
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.output.features_parts import without_features
from vocscore.scoring.output.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from shards.errors import Fault
    from vocscore.columns.table import Table
    from vocscore.scoring.formats.choice import Choice, RowsFormat

_ROWS_A_PART: Final = 2048


def own_thresholds(table: Table) -> Sequence[float]:
    """Those of the record, with all digits; 0.5 without one."""
    record = table.record
    own = DEFAULT_THRESHOLD if record is None else record.model.threshold
    return own if isinstance(own, tuple) else (float(own),) * len(table.classes)


class RelabeledFile:
    """Writes the rows of a table with other labels."""

    def __init__(
        self, table: Table, thresholds: Sequence[float], choice: Choice, output: Path
    ) -> None:
        self._table = table
        self._output = output
        self._choice = choice
        self._thresholds = tuple(thresholds)
        selection = _selection(table)
        self.decimals = selection.decimals
        self._format: RowsFormat = choice.open(
            table.classes,
            self._threshold(),
            selection=selection,
            origin=_origin(table),
            activation=table.activation,
        )
        self.changed = self.changed_rows = 0

    def _threshold(self) -> float | tuple[float, ...]:
        """One number if all classes have the same, as the model's card does."""
        record = self._table.record
        is_one = record is None or not isinstance(record.model.threshold, tuple)
        if is_one and len(set(self._thresholds)) == 1:
            return self._thresholds[0]
        return self._thresholds

    def write(self, progress: Callable[[int, int], None]) -> None:
        """Write parts into a folder beside the output, then join and move them.

        Raises:
            ScoreError: it cannot be written; an existing output is as it was.
        """
        work = self._output.with_name(f".{self._output.name}.relabel")
        try:
            shutil.rmtree(work, ignore_errors=True)
            (work / "rows").mkdir(parents=True)
            parts = list(self._parts(work / "rows", progress))
            self._finish(work, parts)
        except OSError as error:
            raise ScoreError(
                f"{error.filename or self._output}: cannot be written: "
                f"{str(error.strerror).lower()}. Make it writable or free some space."
            ) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _parts(self, folder: Path, progress: Callable[[int, int], None]) -> Iterator[Path]:
        start = 0
        for number, rows in enumerate(_original_sizes(self._table)):
            part = folder / f"part-{number:06d}{self._format.suffix}"
            with atomic.replacing(part) as file:
                self._write_part(file, start, start + rows)
            start += rows
            progress(start, self._table.rows)
            yield part

    def _write_part(self, file: BinaryIO, start: int, stop: int) -> None:
        table, numbers = self._table, np.arange(start, stop)
        probabilities = table.table(numbers)
        failed = table.failed[start:stop]
        probabilities[failed] = 0  # as scoring has it for rows without any
        errors = {int(row): _error(table, start + int(row)) for row in np.flatnonzero(failed)}
        before = np.stack([table.decided(c)[start:stop] for c in range(len(table.classes))], axis=1)
        thresholds = np.asarray(self._thresholds, np.float32)
        if self.decimals is not None:
            same = (thresholds == table.thresholds) & ~failed[:, None]
            moved = Rounding(self.decimals).as_decided(probabilities, before, thresholds)
            probabilities = np.where(same, moved, probabilities)
            if table.activation == "softmax":
                probabilities = _with_labels_largest(probabilities, before)
        after = decide(probabilities, thresholds, table.activation)
        changed = (before != after) & ~failed[:, None]
        self.changed += int(changed.sum())
        self.changed_rows += int(changed.any(axis=1).sum())
        # writers only need the text of a failure
        failures = cast("Mapping[int, Fault]", errors)
        self._format.write(file, Rows(table.paths(numbers), probabilities, failures))

    def _finish(self, work: Path, parts: list[Path]) -> None:
        """Put the output in its place, and its record beside it."""
        record_file(self._output).unlink(missing_ok=True)  # that of an output that is replaced
        if self._choice.folder:
            if self._output.exists():
                self._output.rename(work / "replaced")
            atomic.move(work / "rows", self._output)
            size = sum(part.stat().st_size for part in self._output.iterdir())
        else:
            merged = work / f"merged{self._format.suffix}"
            with atomic.replacing(merged) as file:
                self._format.merge(file, parts)
            size = merged.stat().st_size
            atomic.move(merged, self._output)
        self._write_record(size)

    def _write_record(self, size: int) -> None:
        record = self._table.record
        if record is None:
            return
        told = replace(
            record,
            model=replace(record.model, threshold=self._threshold()),
            output={
                **without_features(record.output),
                **self._choice.to_json(),
                "bytes": size,
            },
            files_sha256=None,  # no stamps are written: `score --update` says so
        )
        atomic.write(record_file(self._output), told.to_bytes())


def _with_labels_largest(
    probabilities: NDArray[np.float32], labels: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Undo rounding where it has made another class equal to the most probable one.

    Args:
        probabilities: rounded, shape (N, C).
        labels: shape (N, C): the most probable class before the rounding, or none.

    Returns:
        float32, shape (N, C): the next number up, which is rounded to the same text.
    """
    equal = labels & ~most_probable(probabilities)
    return np.where(equal, np.nextafter(probabilities, np.float32(2)), probabilities)


def _original_sizes(table: Table) -> Iterator[int]:
    """Rows of each part of the predictions; of a CSV or JSON lines file, parts of equal size."""
    source = table.source
    if source.suffix.lower() == ".parquet" and source.is_file():
        yield from _row_groups(source)
        return
    if source.is_dir():  # a block ends with each part
        yield from table.columns.about.blocks
        return
    for start in range(0, table.rows, _ROWS_A_PART):
        yield min(_ROWS_A_PART, table.rows - start)


def _row_groups(file: Path) -> list[int]:
    import pyarrow.parquet as pq

    metadata = pq.ParquetFile(file).metadata
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def has_pairs(table: Table) -> bool:
    """Whether the columns are `label_1,probability_1,...`, even if these are all classes."""
    return table.record is not None and KEY in table.record.output


def _selection(table: Table) -> Selection:
    """As the predictions were written: rounded again, numbers keep their text."""
    decimals = None if table.record is None else table.record.output.get("decimals")
    return Selection(decimals=decimals)


def _error(table: Table, row: int) -> str:
    reason, detail = table.reasons[table.reason[row]], table.detail(row)
    return f"{reason}: {detail}" if detail else reason


def _origin(table: Table) -> dict[str, Any]:
    """What a Parquet file says about the source of its rows."""
    record = table.record
    if record is None:
        return {"vocscore": version("vocscore")}
    return {
        "vocscore": record.vocscore,
        "checkpoint": record.model.sha256,
        "preprocess": dict(record.model.preprocess),
    }
