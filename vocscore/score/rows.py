"""Scored pictures to CSV rows.

`path,status,error,<one column a class>,labels`, UTF-8, lines ended by a line feed, fields quoted
where they hold a comma, a quote or a line end (RFC 4180). Bytes of a file name that are not UTF-8
stand in the file as they are: read it with `errors="surrogateescape"` and every name comes back.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shards.errors import BadPicture

_ROWS_A_CHUNK = 4096
_TO_QUOTE = re.compile('[,"\r\n]')
_COPY_BYTES = 1 << 20
_SMALLEST = 2.0**-149
"""The smallest float32 above 0; its exponent to the base 10 is -45."""
_POWERS_OF_TEN = 10.0 ** np.arange(8 + 45 + 1)


@dataclass(frozen=True, slots=True)
class Rows:
    """A unit, scored.

    Attributes:
        names: one a row.
        probabilities: float32, shape (len(names), C), 0 to 1; 0 where the picture failed.
        failures: row -> why it has no probabilities.
    """

    names: Sequence[str]
    probabilities: NDArray[np.float32]
    failures: Mapping[int, BadPicture]


class CsvFormat:
    """Writes parts without a header, and joins them behind one.

    Args:
        classes: the columns of probabilities.
        threshold: a class is in `labels` from this probability on. Both are compared as float32;
            for thresholds of up to six digits, from 0.001 on, comparing the written number with
            the threshold gives the same answer.
    """

    suffix = ".csv"

    def __init__(self, classes: Sequence[str], threshold: float) -> None:
        """Make the templates."""
        self.classes = tuple(classes)
        self._threshold = np.float32(threshold)
        self._good = ",".join(["%s,ok,", *["%.9g"] * len(classes), "%s\n"])
        self._bad = "%s,error,%s" + "," * (len(classes) + 1) + "\n"

    def write(self, file: BinaryIO, rows: Rows) -> None:
        """Write the part of one unit."""
        for start in range(0, len(rows.names), _ROWS_A_CHUNK):
            stop = min(start + _ROWS_A_CHUNK, len(rows.names))
            file.write(_encoded("".join(self._lines(rows, start, stop))))

    def merge(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        """Write the header and the parts behind it."""
        header = ["path", "status", "error", *self.classes, "labels"]
        file.write(_encoded(",".join(map(quoted, header)) + "\n"))
        for part in parts:
            with part.open("rb") as opened:
                shutil.copyfileobj(opened, file, _COPY_BYTES)

    def _lines(self, rows: Rows, start: int, stop: int) -> Iterator[str]:
        probabilities = rows.probabilities[start:stop]
        values = shortened(probabilities).tolist()
        above = (probabilities >= self._threshold).tolist()
        for row in range(start, stop):
            name = quoted(rows.names[row])
            failure = rows.failures.get(row)
            if failure is None:
                labels = ";".join(compress(self.classes, above[row - start]))
                yield self._good % (name, *values[row - start], quoted(labels))
            else:
                yield self._bad % (name, quoted(str(failure)))


def quoted(text: str) -> str:
    """One CSV field (RFC 4180). csv.writer of Python 3.10 would not quote a carriage return."""
    return '"' + text.replace('"', '""') + '"' if _TO_QUOTE.search(text) else text


def shortened(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Round numbers to the fewest of 7, 8 or 9 digits that still read back as the same float32.

    Written with '%.9g' the result has those digits and no trailing zeros. It is NumPy's shortest
    form at twice the speed, but for one number in 100,000, which gets a digit more.

    Args:
        values: 0 to 1, any shape.

    Returns:
        float64, same shape.
    """
    exact = values.astype(np.float64)
    exponents = np.floor(np.log10(np.maximum(exact, _SMALLEST))).astype(np.int64)
    nine = _POWERS_OF_TEN[8 - exponents]
    result: NDArray[np.float64] = np.rint(exact * nine) / nine
    for digits in (8, 7):
        scale = _POWERS_OF_TEN[digits - 1 - exponents]
        rounded = np.rint(exact * scale) / scale
        result = np.where(rounded.astype(np.float32) == values, rounded, result)
    return result


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, from the description in a stranger's shard
        return text.encode("utf-8", "surrogatepass")
