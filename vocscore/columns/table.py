"""A table of predictions over mapped columns."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vocscore.models.probabilities import decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from vocscore.columns.layout import Columns
    from vocscore.records.score_record import ScoreRecord

DEFAULT_THRESHOLD: Final = 0.5
_COLUMN_BYTES: Final = 96 << 20
"""Bytes of joined columns that are kept in memory."""


class Table:
    """Predictions: N rows, C classes. Arrays are read-only.

    Made by `open.open_table`.

    Attributes:
        source: the file or folder.
        name: of it, to be shown.
        record: the record beside it; None if there is none.
        complete: False while a run is still writing it.
        thresholds: float32 (C,), those of the labels: the model's by the record, else 0.5.
        activation: of the probabilities, by the record; with 'softmax' an image has one class.
    """

    def __init__(
        self,
        source: Path,
        columns: Columns,
        *,
        record: ScoreRecord | None,
        refresh: Callable[[], tuple[Columns, bool] | None] | None = None,
    ) -> None:
        self.source = source
        self.name = source.name or str(source)
        self.record = record
        self.complete = refresh is None
        self._refresh = refresh
        self._set(columns)
        self.thresholds = np.full(len(self.classes), DEFAULT_THRESHOLD, np.float32)
        self.activation = "sigmoid"
        if record is not None and record.model.classes == self.classes:
            self.thresholds[:] = record.model.threshold
            self.activation = record.model.rule

    def _set(self, columns: Columns) -> None:
        self.columns = columns
        self.failed: NDArray[np.bool_] = columns.reason > 0
        most = max(2, _COLUMN_BYTES // max(1, 4 * self.rows))
        self._joined = lru_cache(most)(self._join)
        self._folded: bytes | None = None
        self._largest: NDArray[np.int32] | None = None

    def refresh(self) -> bool:
        """Take in what an unfinished run has written since; whether anything has changed."""
        if self._refresh is None:
            return False
        found = self._refresh()
        if found is None:
            return False
        columns, self.complete = found
        if self.complete:
            self._refresh = None
        self._set(columns)
        return True

    @property
    def classes(self) -> tuple[str, ...]:
        """In column order."""
        return self.columns.about.classes

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns.reason)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Of errors; the first is '', no error."""
        return self.columns.about.reasons

    @property
    def reason(self) -> NDArray[np.uint8]:
        """uint8 (N,): index in `reasons`."""
        return self.columns.reason

    def column(self, c: int) -> NDArray[np.float32]:
        """Probabilities of a class, float32 (N,); nan for errors and where none was written."""
        found: NDArray[np.float32] = self._joined("probabilities", c)
        return found

    def decided(self, c: int) -> NDArray[np.bool_]:
        """The labels in the predictions, bool (N,); by the thresholds if they have no labels."""
        if not self.columns.about.has_decided:
            return self._decide(c, float(self.thresholds[c]))
        found: NDArray[np.bool_] = self._joined("decided", c)
        return found

    def predicted(self, c: int, threshold: float) -> NDArray[np.bool_]:
        """Which rows have the class at a threshold, bool (N,).

        Where the probability was not written, the label in the predictions decides.
        """
        column = self.column(c)
        found = self._decide(c, threshold)
        if not self.columns.about.has_all and self.columns.about.has_decided:
            found = np.where(np.isnan(column), self.decided(c), found)
        return found

    def _decide(self, c: int, threshold: float) -> NDArray[np.bool_]:
        """The decisions of a class where its probability was written, bool (N,)."""
        found = decide(self.column(c), threshold)
        return found & (self._most_probable() == c) if self.activation == "softmax" else found

    def _most_probable(self) -> NDArray[np.int32]:
        """The class with the largest probability, int32 (N,); the first of equal ones."""
        if self._largest is None:
            largest, greatest = np.zeros(self.rows, np.int32), np.full(self.rows, -1, np.float32)
            for c in range(len(self.classes)):
                column = self.column(c)
                better = column > greatest  # False for nan
                largest[better], greatest[better] = c, column[better]
            self._largest = largest
        return self._largest

    def _join(self, name: str, c: int) -> NDArray[Any]:
        blocks = [block[c] for block in getattr(self.columns, name)]
        if len(blocks) == 1:
            only: NDArray[Any] = blocks[0]
            return only
        joined: NDArray[Any] = (
            np.concatenate(blocks)
            if blocks
            else np.empty(0, np.float32 if name == "probabilities" else np.bool_)
        )
        joined.flags.writeable = False
        return joined

    def row(self, r: int) -> NDArray[np.float32]:
        """Probabilities of an image, float32 (C,)."""
        block, place = self._place(r)
        return self.columns.probabilities[block][:, place]

    def decided_row(self, r: int) -> NDArray[np.bool_]:
        """The labels of an image in the predictions, bool (C,)."""
        if not self.columns.about.has_decided:
            return decide(self.row(r), self.thresholds, self.activation)
        block, place = self._place(r)
        return self.columns.decided[block][:, place]

    def table(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Probabilities of some images, float32 (len(rows), C)."""
        found = np.empty((len(rows), len(self.classes)), np.float32)
        for c in range(len(self.classes)):
            found[:, c] = self.column(c)[rows]
        return found

    def _place(self, r: int) -> tuple[int, int]:
        """The block of a row, and its place there."""
        if not 0 <= r < self.rows:
            raise IndexError(f"row {r} of {self.rows}")
        block = int(np.searchsorted(self.columns.starts, r, side="right")) - 1
        return block, r - int(self.columns.starts[block])

    def path(self, r: int) -> str:
        """The path of an image; bytes that are not UTF-8 are surrogates (`os.fsencode`)."""
        end = int(self.columns.path_ends[r])
        start = int(self.columns.path_ends[r - 1]) if r else 0
        return _text(self.columns.paths[start:end].tobytes())

    def paths(self, rows: Iterable[int]) -> list[str]:
        """The paths of some images."""
        return [self.path(int(r)) for r in rows]

    def detail(self, r: int) -> str:
        """What an error says besides its reason; '' if nothing, or if there is no error."""
        at = int(np.searchsorted(self.columns.detail_rows, r))
        if at == len(self.columns.detail_rows) or self.columns.detail_rows[at] != r:
            return ""
        start = int(self.columns.detail_ends[at - 1]) if at else 0
        text = self.columns.details[start : int(self.columns.detail_ends[at])].tobytes()
        return text.decode("utf-8", "replace")

    def matching(self, text: str) -> NDArray[np.bool_]:
        """Which paths contain a text, bool (N,); upper and lower case are the same."""
        found = np.zeros(self.rows, np.bool_)
        wanted = text.lower().encode("utf-8", "surrogateescape")
        if not wanted:
            return ~found
        if self._folded is None:
            self._folded = _folded(self.columns.paths.tobytes())
        hits = [match.start() for match in re.finditer(re.escape(wanted), self._folded)]
        if not hits:
            return found
        first = np.array(hits, np.int64)
        rows = np.searchsorted(self.columns.path_ends, first, side="right")
        inside = first + len(wanted) <= self.columns.path_ends[rows]
        found[rows[inside]] = True
        return found


def _folded(paths: bytes) -> bytes:
    """Lower case of the same length: of ASCII, and of other letters where that keeps the length."""
    if paths.isascii():
        return paths.lower()
    text = paths.decode("utf-8", "surrogateescape")
    return "".join(map(_lower, text)).encode("utf-8", "surrogateescape")


@lru_cache(1 << 12)
def _lower(letter: str) -> str:
    lowered = letter.lower()
    lengths = (len(each.encode("utf-8", "surrogateescape")) for each in (letter, lowered))
    return lowered if len(set(lengths)) == 1 else letter


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("utf-8", "surrogateescape")
