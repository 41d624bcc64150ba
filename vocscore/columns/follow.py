"""Columns of a run that is still being written: parts are taken in as they are committed."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from shards.files import read_regular
from vocscore.columns import cache
from vocscore.columns.build import read_file
from vocscore.columns.collect import ColumnCollector
from vocscore.columns.layout import map_columns
from vocscore.columns.writer import ColumnsWriter
from vocscore.errors import EvalError
from vocscore.records.top_k_columns import KEY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vocscore.columns.layout import Columns

SUFFIX: Final = ".parts"
"""Of the folder beside an unfinished output; see `scoring.output.posix_store`."""
_MARK: Final = re.compile(r"part-(\d{6,})\.json")


class Follower:
    """Reads the committed parts of an unfinished run, which is only read and never locked.

    Rows are in the order in which parts were found, and keep their numbers.

    Args:
        work: the folder `OUTPUT.parts`.
        known: the classes; parts of a CSV have no header.
    """

    def __init__(self, work: Path, *, known: Sequence[str] | None) -> None:
        self._work = work
        self._folder = cache.temporary()
        self._writer = ColumnsWriter(self._folder)
        self._collector = ColumnCollector(self._writer, known=known)
        self._taken: set[str] = set()

    def refresh(self) -> bool:
        """Take in new parts; whether there were any.

        Raises:
            EvalError: a part is not predictions.
        """
        rows = self._writer.rows
        for mark in self._marks():
            part = self._part(mark)
            if part is not None:
                with suppress(FileNotFoundError):  # joined to the output meanwhile
                    self._read(part)
            self._taken.add(mark)
        return self._writer.rows > rows

    def columns(self) -> Columns:
        """Map the rows so far."""
        if self._writer.classes is None:
            self._writer.classes = self._collector.known
        return map_columns(self._folder, self._writer.about("", self._collector.notes))

    def _marks(self) -> list[str]:
        """New marks of complete parts, in order."""
        try:
            names = [path.name for path in self._work.iterdir()]
        except FileNotFoundError:  # the run has finished
            return []
        return sorted(name for name in names if _MARK.fullmatch(name) and name not in self._taken)

    def _part(self, mark: str) -> Path | None:
        """The part of a mark; None if it has no rows, or was joined to the output meanwhile."""
        try:
            if not json.loads(read_regular(self._work / mark))["rows"]:
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        stem = mark.removesuffix(".json")
        for folder in (self._work, self._work / "rows"):
            for suffix in (".csv", ".jsonl", ".parquet"):
                if (folder / (stem + suffix)).exists():
                    return folder / (stem + suffix)
        return None

    def _read(self, part: Path) -> None:
        collector = self._collector
        if part.suffix == ".csv" and part.parent == self._work:
            _read_headless(part, collector, pairs=self._pairs())
        else:
            read_file(part, collector)
        if collector.classes is not None:
            collector.flush()

    def _pairs(self) -> int:
        """The number of pairs of columns that the plan of the run names."""
        try:
            plan = json.loads(read_regular(self._work / "plan.json"))
            return int(plan["output"].get(KEY, 0))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return 0


def _read_headless(part: Path, into: ColumnCollector, *, pairs: int) -> None:
    """Read rows of a CSV file that has no header yet, as `formats.csv_format` writes it.

    Args:
        part: the rows.
        into: takes them.
        pairs: as for `read_csv_rows`.

    Raises:
        EvalError: the classes are unknown.
    """
    if not into.known:
        raise EvalError(
            f"{part}: the classes of this unfinished run are unknown; it was begun by an older "
            "version. Wait until it has finished."
        )
    from vocscore.evaluation.read_csv import read_csv_rows

    read_csv_rows(part, into, pairs=pairs)


def work_folder_of(source: Path) -> Path | None:
    """The folder of the unfinished run that a path names: itself, or that of its output."""
    if source.name.endswith(SUFFIX) and source.is_dir():
        return source
    work = source.with_name(source.name + SUFFIX)
    return work if work.is_dir() and not source.exists() else None


def output_of(work: Path) -> Path:
    """The output that a run writes."""
    return work.with_name(work.name.removesuffix(SUFFIX))
