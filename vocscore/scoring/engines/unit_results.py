"""Collects the results of one unit and checks that every row occurs exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vocscore.errors import ScoreError
from vocscore.scoring.output.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shards.errors import Fault


class RowsError(RuntimeError):
    """A row was lost, duplicated or never requested: a bug in this program, not a bad image."""


class UnitResults:
    """The results of one unit, by row.

    Args:
        names: one per row.
        classes: number of columns of probabilities.
        features: number of columns of features after them.
    """

    def __init__(self, names: Sequence[str], *, classes: int, features: int = 0) -> None:
        self._names = names
        self._probabilities = np.zeros((len(names), classes), np.float32)
        self._features = np.full((len(names), features), np.nan, np.float32) if features else None
        self._columns = classes + features
        self._failures: dict[int, Fault] = {}
        self._times = np.zeros(len(names), np.int64)

    @property
    def done(self) -> int:
        """Number of rows so far, with probabilities or with a fault."""
        return int(np.count_nonzero(self._times))

    @property
    def errors(self) -> int:
        """Number of rows so far with a fault."""
        return len(self._failures)

    def add(self, rows: NDArray[np.int64], probabilities: NDArray[np.float32]) -> None:
        """Add the probabilities of some rows.

        Args:
            rows: int64, shape (n,).
            probabilities: float32, shape (n, C); or (n, C + F), the features after them.

        Raises:
            ScoreError: the model returned NaN or infinity.
            RowsError: there is no such row, or the shapes do not match.
        """
        if probabilities.shape != (len(rows), self._columns):
            raise RowsError(f"{len(rows)} rows, but probabilities {probabilities.shape}")
        self._count(rows)
        bad = ~np.isfinite(probabilities).all(axis=1)
        if bad.any():
            raise ScoreError(
                f"{self._names[rows[bad.argmax()]]}: the model returned NaN or infinity, so its "
                "weights are damaged or overflow. Train again, or score with another checkpoint."
            )
        classes = self._probabilities.shape[1]
        self._probabilities[rows] = probabilities[:, :classes]
        if self._features is not None:
            self._features[rows] = probabilities[:, classes:]

    def fail(self, row: int, fault: Fault) -> None:
        """Add a row that failed.

        Raises:
            RowsError: there is no such row.
        """
        self._count(np.array([row]))
        self._failures[row] = fault

    def finish(self) -> Rows:
        """Return all rows.

        Raises:
            RowsError: a row does not occur exactly once.
        """
        wrong = np.flatnonzero(self._times != 1)
        if len(wrong):
            row = wrong[0]
            raise RowsError(
                f"{self._names[row]}: occurs {self._times[row]} times instead of once "
                f"({len(wrong)} such rows of {len(self._names)})"
            )
        return Rows(self._names, self._probabilities, self._failures, self._features)

    def _count(self, rows: NDArray[np.int64]) -> None:
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self._names)):
            raise RowsError(f"rows {rows.min()} to {rows.max()} of {len(self._names)}")
        np.add.at(self._times, rows, 1)
