"""Predictions in memory, and the collector that builds them row by row from any format."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from shards.paths import shown
from vocscore.errors import EvalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Predictions, one row per image.

    Attributes:
        classes: the columns of `probabilities`.
        paths: of the images, in row order; without duplicates.
        probabilities: float32, shape (len(paths), len(classes)); nan where `failed`.
        failed: bool, shape (len(paths),): the image could not be read.
        predicted: bool, shape (len(paths), len(classes)): the labels column, False where
            `failed`; None if some row has no labels.
        notes: what the user should know about the file.
    """

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    probabilities: NDArray[np.float32]
    failed: NDArray[np.bool_]
    predicted: NDArray[np.bool_] | None
    notes: tuple[str, ...] = ()


class TakesRows(Protocol):
    """What the readers of each format call; `Collector` is one."""

    notes: list[str]
    partial: bool
    known: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The columns; None until a reader has found them."""

    def expect(self, classes: Sequence[str], *, file: Path) -> tuple[str, ...]:
        """Set the columns."""

    def add(
        self,
        path: str,
        status: object,
        values: Iterable[float],
        labels: Iterable[str] | None,
        error: str = "",
    ) -> None:
        """Add a row."""


class BadRowError(Exception):
    """Describes what is wrong with a row; the reader adds its place in the file."""


class Collector:
    """Collects rows and builds `Predictions`.

    Attributes:
        classes: the columns; None until a reader has found them.
        notes: anomalies that could be read.
        partial: whether rows may lack probabilities, as nan.
        known: classes that the rows may have besides those that they name.
    """

    partial = False
    known: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.classes: tuple[str, ...] | None = None
        self.notes: list[str] = []
        self._paths: dict[str, None] = {}
        self._failed = bytearray()
        self._values = array("f")
        self._places: dict[str, int] = {}
        self._predicted: bytearray | None = bytearray()

    def expect(self, classes: Sequence[str], *, file: Path) -> tuple[str, ...]:
        """Set the columns; every part of a folder must have the same.

        Raises:
            EvalError: there are no columns, one is duplicate, or another part has others.
        """
        if not classes:
            raise EvalError(
                f"{file}: contains no probabilities (written with `columns='labels'`?). Score "
                "again without that option."
            )
        self.classes = same_columns(tuple(classes), self.classes, file=file)
        self._places = {name: place for place, name in enumerate(self.classes)}
        return self.classes

    def add(
        self,
        path: str,
        status: object,
        values: Iterable[float],
        labels: Iterable[str] | None,
        error: str = "",  # noqa: ARG002 - for other takers of rows
    ) -> None:
        """Add a row.

        Args:
            path: of the image.
            status: 'ok' or 'error'.
            values: probabilities in the order of the classes; ignored for an error.
            labels: names of the predicted classes; None if the row does not have them. Ignored for
                an error.
            error: the reason of an error, and a detail; not kept.

        Raises:
            BadRowError: the path is a duplicate, or the row is unusable.
        """
        if path in self._paths:
            raise BadRowError(f"{shown(path)} is a duplicate (keep one of its rows)")
        if status not in ("ok", "error"):
            raise BadRowError(f"status {status!r} is neither 'ok' nor 'error'")
        self._paths[path] = None
        self._failed.append(status == "error")
        if status == "ok":
            try:
                self._values.extend(values)
            except TypeError as wrong:
                raise BadRowError(str(wrong)) from wrong
            self._add_labels(labels)

    def _add_labels(self, labels: Iterable[str] | None) -> None:
        if labels is None:
            self._predicted = None
        if labels is None or self._predicted is None:
            return
        row = bytearray(len(self._places))
        for name in labels:
            if name not in self._places:
                raise left_out(name)
            row[self._places[name]] = True
        self._predicted += row

    def finish(self, file: Path) -> Predictions:
        """Build the predictions.

        Raises:
            EvalError: no row has named the classes, or a value is not a probability.
        """
        if self.classes is None:
            raise EvalError(f"{file}: no row has probabilities; there is nothing to compare.")
        failed = np.frombuffer(self._failed, dtype=np.bool_)
        table = np.full((len(failed), len(self.classes)), np.nan, np.float32)
        table[~failed] = np.frombuffer(self._values, np.float32).reshape(-1, len(self.classes))
        predicted = None
        if self._predicted is not None:
            predicted = np.zeros(table.shape, np.bool_)
            predicted[~failed] = np.frombuffer(self._predicted, np.bool_).reshape(
                -1, table.shape[1]
            )
        notes = tuple(self.notes)
        found = Predictions(self.classes, tuple(self._paths), table, failed, predicted, notes)
        _check_probabilities(found, file=file)
        return found


def same_columns(
    found: tuple[str, ...], before: tuple[str, ...] | None, *, file: Path
) -> tuple[str, ...]:
    """Check the columns of a file of predictions, and return them.

    Args:
        found: the classes in the file.
        before: those of the parts before it; None for the first.
        file: for the error.

    Raises:
        EvalError: a name occurs twice, or the parts before it have other classes.
    """
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise EvalError(f"{file}: two columns are named {twice!r}. Score again.")
    if before is not None and before != found:
        raise EvalError(
            f"{file}: its classes differ from those of the parts before it. Score again into a "
            "new folder."
        )
    return found


def left_out(name: str) -> BadRowError:
    """Make the error of a row that lacks a probability."""
    return BadRowError(
        f"no probability for {name} (written with `top_k` or `min_probability`, or truncated?), "
        "and evaluation needs all"
    )


def _check_probabilities(found: Predictions, *, file: Path) -> None:
    fine = (found.probabilities >= 0) & (found.probabilities <= 1)
    bad = np.argwhere(~fine & ~found.failed[:, None])
    if len(bad):
        row, column = bad[0]
        raise EvalError(
            f"{file}: {shown(found.paths[row])} has {found.probabilities[row, column]} for "
            f"{found.classes[column]}, which is not a probability. Score again."
        )
