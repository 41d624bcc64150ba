"""Writes scored images as CSV.

`path,status,error,<one column per class>,labels`, UTF-8, lines terminated by a line feed, fields
quoted if they contain a comma, a quote or a line end (RFC 4180). Bytes of a file name that are not
UTF-8 are written unchanged: `errors="surrogateescape"` reads every name back. A probability below
the minimum is an empty cell.

Of the K largest probabilities, the columns are not the classes but `label_1,probability_1,...,
label_K,probability_K`, in descending order; those below the minimum are empty cells at the end.
"""

from __future__ import annotations

import re
import shutil
from itertools import compress
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from vocscore.models.probabilities import decide
from vocscore.records.top_k_columns import top_k_columns
from vocscore.scoring.formats.selection import EVERYTHING, Selection, largest
from vocscore.scoring.formats.text import name_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vocscore.scoring.output.rows import Rows

_ROWS_A_CHUNK = 4096
_TO_QUOTE = re.compile('[,"\r\n]')
_COPY_BYTES = 1 << 20


class CsvFormat:
    """Writes parts and joins them after one header.

    Args:
        classes: the columns of probabilities.
        threshold: a class is in `labels` at or above this probability; one number, or one per
            class. Both are compared as float32; for thresholds of up to six digits, from 0.001 on,
            comparing the written number with the threshold gives the same result.
        selection: what is written per image.
        activation: of the probabilities, as for `decide`.
        alone: whether each part is a file of its own, with the header.
    """

    suffix = ".csv"

    def __init__(
        self,
        classes: Sequence[str],
        threshold: float | Sequence[float],
        *,
        selection: Selection = EVERYTHING,
        activation: str = "sigmoid",
        alone: bool = False,
    ) -> None:
        self.classes = tuple(classes)
        self._threshold = np.asarray(threshold, np.float32)
        self._activation = activation
        self._selection = selection
        self._alone = alone
        self._pairs = min(selection.top_k or 0, len(self.classes))
        columns = top_k_columns(self._pairs) or [*self.classes] * selection.probabilities
        cell = selection.rounding.template if selection.is_everything else "%s"
        self._good = ",".join(["%s,ok,", *[cell] * len(columns), *["%s"] * selection.labels]) + "\n"
        columns += ["labels"] * selection.labels
        self._bad = "%s,error,%s" + "," * len(columns) + "\n"
        header = ["path", "status", "error", *columns]
        self._header = name_bytes(",".join(map(quoted, header)) + "\n")

    def write(self, file: BinaryIO, rows: Rows) -> None:
        """Write the part of one unit."""
        if self._alone:
            file.write(self._header)
        for start in range(0, len(rows.names), _ROWS_A_CHUNK):
            stop = min(start + _ROWS_A_CHUNK, len(rows.names))
            file.write(b"".join(map(name_bytes, self._lines(rows, start, stop))))

    def merge(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        """Write the header, then the parts."""
        file.write(self._header)
        for part in parts:
            with part.open("rb") as opened:
                shutil.copyfileobj(opened, file, _COPY_BYTES)

    def _lines(self, rows: Rows, start: int, stop: int) -> Iterator[str]:
        cells = self._cells(rows, start, stop)
        probabilities = rows.probabilities[start:stop]
        above = decide(probabilities, self._threshold, self._activation).tolist()
        for row in range(start, stop):
            name = quoted(rows.names[row])
            failure = rows.failures.get(row)
            if failure is None:
                labels = ";".join(compress(self.classes, above[row - start]))
                tail = (quoted(labels),) if self._selection.labels else ()
                yield self._good % (name, *cells[row - start], *tail)
            else:
                yield self._bad % (name, quoted(str(failure)))

    def _cells(self, rows: Rows, start: int, stop: int) -> Sequence[Sequence[float | str]]:
        """Return the columns of the classes; as numbers if none is left out."""
        if not self._selection.probabilities:
            return [()] * (stop - start)
        probabilities = rows.probabilities[start:stop]
        values = self._selection.rounding.values(probabilities)
        if self._selection.is_everything:
            found: list[list[float]] = values.tolist()
            return found
        kept = self._selection.kept(probabilities)
        if self._pairs:
            return list(self._largest(largest(probabilities, self._pairs), values, kept))
        form = self._selection.rounding.template
        return [
            [form % value if keep else "" for value, keep in zip(*pair, strict=True)]
            for pair in zip(values.tolist(), kept.tolist(), strict=True)
        ]

    def _largest(
        self, order: NDArray[np.intp], values: NDArray[np.float64], kept: NDArray[np.bool_]
    ) -> Iterator[list[str]]:
        """Yield the cells of rows with only the largest probabilities."""
        names, form = [quoted(name) for name in self.classes], self._selection.rounding.template
        sorted_values = np.take_along_axis(values, order, axis=1).tolist()
        sorted_kept = np.take_along_axis(kept, order, axis=1).tolist()
        for row in zip(order.tolist(), sorted_values, sorted_kept, strict=True):
            cells: list[str] = []
            for column, value, keep in zip(*row, strict=True):
                cells += (names[column], form % value) if keep else ("", "")
            yield cells


def quoted(text: str) -> str:
    """Quote one CSV field (RFC 4180). csv.writer in Python 3.10 does not quote carriage returns."""
    return '"' + text.replace('"', '""') + '"' if _TO_QUOTE.search(text) else text
