"""Writes scored images as CSV.

`path,status,error,<one column per class>,labels`, UTF-8, lines terminated by a line feed, fields
quoted if they contain a comma, a quote or a line end (RFC 4180). Bytes of a file name that are not
UTF-8 are written unchanged: `errors="surrogateescape"` reads every name back. A probability that
was not selected is an empty cell.
"""

from __future__ import annotations

import re
import shutil
from itertools import compress
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from vocscore.models.probabilities import decide
from vocscore.scoring.formats.numbers import shortened
from vocscore.scoring.formats.selection import EVERYTHING, Selection
from vocscore.scoring.formats.text import name_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

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
        alone: whether each part is a file of its own, with the header.
    """

    suffix = ".csv"

    def __init__(
        self,
        classes: Sequence[str],
        threshold: float | Sequence[float],
        *,
        selection: Selection = EVERYTHING,
        alone: bool = False,
    ) -> None:
        self.classes = tuple(classes)
        self._threshold = np.asarray(threshold, np.float32)
        self._selection = selection
        self._alone = alone
        columns = [*self.classes] if selection.probabilities else []
        cell = "%.9g" if selection.is_everything else "%s"
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
        above = decide(rows.probabilities[start:stop], self._threshold).tolist()
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
        values: list[list[float]] = shortened(probabilities).tolist()
        if self._selection.is_everything:
            return values
        kept = self._selection.kept(probabilities).tolist()
        return [
            [f"{value:.9g}" if keep else "" for value, keep in zip(*pair, strict=True)]
            for pair in zip(values, kept, strict=True)
        ]


def quoted(text: str) -> str:
    """Quote one CSV field (RFC 4180). csv.writer in Python 3.10 does not quote carriage returns."""
    return '"' + text.replace('"', '""') + '"' if _TO_QUOTE.search(text) else text
