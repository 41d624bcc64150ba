"""Collects rows of any format into blocks of columns."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Final

import numpy as np

from vocscore.errors import EvalError
from vocscore.evaluation.collected import BadRowError, same_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vocscore.columns.writer import ColumnsWriter

_ROWS_A_BLOCK: Final = 1 << 16
_NUMBERS_A_BLOCK: Final = 1 << 23
"""Fewer rows are in a block of many classes: 32 MiB of probabilities."""


class ColumnCollector:
    """Takes rows from the readers of `vocscore.evaluation`, and writes them block by block.

    Unlike `evaluation.collected.Collector` it accepts missing probabilities, missing labels and
    duplicate paths: the page shows what there is.

    Args:
        writer: of the columns.
        known: the classes, if a record says them; for files that do not name all of them.
        on_rows: called with the number of rows so far.

    Attributes:
        notes: anomalies of the file that could be read.
    """

    def __init__(
        self,
        writer: ColumnsWriter,
        *,
        known: Sequence[str] | None = None,
        on_rows: Callable[[int], None] | None = None,
    ) -> None:
        self.writer = writer
        self.partial = True
        self.notes: list[str] = []
        self.known = tuple(known or ())
        self._on_rows = on_rows
        self._places: dict[str, int] = {}
        self._start()

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The columns; None until a reader has found them."""
        return self.writer.classes

    def expect(self, classes: Sequence[str], *, file: Path) -> tuple[str, ...]:
        """Set the columns; every part of a folder must have the same.

        Raises:
            EvalError: there are none and no record names them, one is duplicate, or another part
                has others.
        """
        found = tuple(classes) or self.known
        if not found:
            raise EvalError(
                f"{file}: does not name its classes (written with `columns='labels'` or `top_k`), "
                "and there is no record beside it that does. Score again."
            )
        if self.writer.classes is None:
            self._places = {name: place for place, name in enumerate(found)}
        self.writer.classes = same_columns(found, self.writer.classes, file=file)
        return found

    def add(
        self,
        path: str,
        status: object,
        values: Iterable[float],
        labels: Iterable[str] | None,
        error: str = "",
    ) -> None:
        """Add a row.

        Args:
            path: of the image.
            status: 'ok' or 'error'.
            values: probabilities in the order of the classes, nan where there is none; ignored for
                an error.
            labels: names of the predicted classes; None if the row does not have them.
            error: the reason and detail of an error.

        Raises:
            BadRowError: the row is unusable.
        """
        if status not in ("ok", "error"):
            raise BadRowError(f"status {status!r} is neither 'ok' nor 'error'")
        row = len(self._lengths)
        if status == "ok":
            self._add_values(row, values)
            self._add_labels(row, labels)
        else:
            self._errors[row] = error
        name = path.encode("utf-8", "surrogatepass" if not _is_bytes(path) else "surrogateescape")
        self._paths += name
        self._lengths.append(len(name))
        if row + 1 >= self._most_rows():
            self.flush()

    def _add_values(self, row: int, values: Iterable[float]) -> None:
        before = len(self._values)
        try:
            self._values.extend(values)
        except TypeError as error:
            raise BadRowError(str(error)) from error
        if len(self._values) == before:  # only labels were written
            self._values.extend([math.nan] * len(self.classes or ()))
        self._good.append(row)

    def _add_labels(self, row: int, labels: Iterable[str] | None) -> None:
        if labels is None:
            self._all_have_labels = False
            return
        for name in labels:
            if name not in self._places:
                raise BadRowError(f"the label {name!r} is not among the classes")
            self._labels.append((row, self._places[name]))

    def _most_rows(self) -> int:
        return min(_ROWS_A_BLOCK, _NUMBERS_A_BLOCK // max(len(self.classes or ()), 1) + 1)

    def flush(self) -> None:
        """Write the rows since the last block; before classes are known, they are all errors."""
        if not self._lengths or self.classes is None:
            return
        shape = (len(self._lengths), len(self.classes))
        probabilities = np.full(shape, np.nan, np.float32)
        if self._good:
            given = np.frombuffer(self._values, np.float32).reshape(-1, shape[1])
            probabilities[self._good] = given
        decided = None
        if self._all_have_labels:
            decided = np.zeros(shape, np.bool_)
            if self._labels:
                decided[tuple(np.array(self._labels).T)] = True
        self._check(probabilities)
        lengths = np.array(self._lengths, np.int64)
        self.append_block(bytes(self._paths), lengths, self._errors, probabilities, decided)
        self._start()

    def append_block(
        self,
        paths: bytes,
        path_lengths: NDArray[np.int64],
        errors: dict[int, str],
        probabilities: NDArray[np.float32],
        decided: NDArray[np.bool_] | None,
    ) -> None:
        """Write a block that a reader has made itself; see `ColumnsWriter.append`."""
        self.writer.append(paths, path_lengths, errors, probabilities, decided)
        if self._on_rows:
            self._on_rows(self.writer.rows)

    def _check(self, probabilities: NDArray[np.float32]) -> None:
        wrong = np.argwhere((probabilities < 0) | (probabilities > 1))
        if len(wrong):
            row, column = wrong[0]
            raise BadRowError(f"{probabilities[row, column]} is not a probability")

    def _start(self) -> None:
        """Begin a block."""
        self._paths = bytearray()
        self._lengths: list[int] = []
        self._values = array("f")
        self._good: list[int] = []
        self._labels: list[tuple[int, int]] = []
        self._errors: dict[int, str] = {}
        self._all_have_labels = True


def _is_bytes(path: str) -> bool:
    """Whether every surrogate of a path stands for a byte."""
    return not any("\ud800" <= each < "\udc80" or "\udcff" < each <= "\udfff" for each in path)
