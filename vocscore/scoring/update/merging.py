"""Joins the rows that stay with those that were scored, in the order of a fresh run."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from shards.files import open_binary
from vocscore.errors import ScoreError
from vocscore.scoring.formats.parquet_format import ParquetFormat
from vocscore.scoring.update.old_rows import csv_lines, mapped, runs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from vocscore.scoring.formats.choice import RowsFormat
    from vocscore.scoring.output.rows import Rows
    from vocscore.scoring.update.reuse import Reuse


class UpdatedFormat:
    """A format whose joined file also has the rows that stay.

    Args:
        fresh: writes the parts of the new rows.
        reuse: the old rows, and their places.
        unit_size: rows of a unit of a fresh run, which are a row group in Parquet.
    """

    def __init__(self, fresh: RowsFormat, reuse: Reuse, *, unit_size: int) -> None:
        self.suffix = fresh.suffix
        self.classes = fresh.classes
        self._fresh = fresh
        self._reuse = reuse
        self._unit_size = unit_size

    def write(self, file: BinaryIO, rows: Rows) -> None:
        """Write the part of one unit of new rows."""
        self._fresh.write(file, rows)

    def merge(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        """Write the output, given the parts of the new rows in order.

        Raises:
            ScoreError: the old output was changed meanwhile.
        """
        if self._reuse.file.stat().st_size != self._reuse.bytes:
            raise ScoreError(
                f"{self._reuse.file}: was changed while it was updated. Rerun the same command."
            )
        if isinstance(self._fresh, ParquetFormat):
            _join_parquet(file, list(parts), self._reuse, self._fresh, unit_size=self._unit_size)
        else:
            self._fresh.merge(file, ())  # the header, if there is one
            _join_lines(file, parts, self._reuse)


def _join_lines(file: BinaryIO, parts: Iterable[Path], reuse: Reuse) -> None:
    """Copy rows of text: those that stay by their place, the new ones in order."""
    starts = reuse.rows.starts
    if starts is None:
        raise RuntimeError("rows of text without places")
    new = _new_lines(parts, csv=reuse.kind == "csv")
    with open_binary(reuse.file) as opened, memoryview(mapped(opened)) as old:
        for _, row, count in runs_of(reuse.old):
            if row < 0:
                file.writelines(islice(new, count))
            else:
                file.write(old[int(starts[row]) : int(starts[row + count])])


def _new_lines(parts: Iterable[Path], *, csv: bool) -> Iterator[bytes]:
    for part in parts:
        with open_binary(part) as opened:
            yield from csv_lines(opened) if csv else opened


def _join_parquet(
    file: BinaryIO, parts: Sequence[Path], reuse: Reuse, fresh: ParquetFormat, *, unit_size: int
) -> None:
    """Write as many rows per group as a fresh run; few groups are in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(reuse.file) as opened:
        old, new = _Groups([opened]), _Groups([pq.ParquetFile(part) for part in parts])

        def tables() -> Iterator[Any]:
            done = 0
            for start in range(0, len(reuse.old), unit_size):
                pieces: list[Any] = []
                for _, row, count in runs_of(reuse.old[start : start + unit_size]):
                    pieces += new.rows(done, count) if row < 0 else old.rows(row, count)
                    done += count if row < 0 else 0
                yield pa.concat_tables(pieces).combine_chunks()

        fresh.write_tables(file, tables())


class _Groups:
    """The rows of Parquet files, one after the other; the last group read is kept."""

    def __init__(self, files: Sequence[Any]) -> None:
        self._files = [(one, group) for one in files for group in range(one.num_row_groups)]
        sizes = [one.metadata.row_group(group).num_rows for one, group in self._files]
        self._ends = np.cumsum(sizes)
        self._last: tuple[int, Any] = (-1, None)

    def rows(self, start: int, count: int) -> Iterator[Any]:
        """Yield tables that together are some consecutive rows."""
        while count > 0:
            group = int(np.searchsorted(self._ends, start, side="right"))
            if self._last[0] != group:
                file, number = self._files[group]
                self._last = (group, file.read_row_group(number))
            table = self._last[1]
            piece = table.slice(start - (int(self._ends[group]) - table.num_rows), count)
            yield piece
            start += piece.num_rows
            count -= piece.num_rows
