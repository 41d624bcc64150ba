"""Reads the table that `vocscore score` writes."""

from __future__ import annotations

import csv
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shards.paths import shown
from vocscore.errors import EvalError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

_BEFORE = ["path", "status", "error"]
_AFTER = ["labels"]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """One row a picture.

    Attributes:
        classes: the columns of `probabilities`.
        paths: of the pictures, in the order of the rows; each once.
        probabilities: float32, shape (len(paths), len(classes)); nan where `failed`.
        failed: bool, shape (len(paths),): the picture could not be read.
    """

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    probabilities: NDArray[np.float32]
    failed: NDArray[np.bool_]


def read_predictions(file: Path) -> Predictions:
    """Read a table with the columns path, status, error, one a class, labels.

    Raises:
        EvalError: the table is not one of `vocscore score`, names a picture twice, or holds
            something else than probabilities.
        OSError: the file cannot be read.
    """
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        rows = csv.reader(stream)
        try:
            classes = _read_header(next(rows, []), file=file)
            return _read_rows(rows, classes=classes, file=file)
        except csv.Error as error:
            raise EvalError(f"{file}, line {rows.line_num}: {error}. Score again.") from error
        except _BadRowError as error:
            raise EvalError(f"{file}, line {rows.line_num}: {error}. Score again.") from None


class _BadRowError(Exception):
    """What is wrong with a row; the reader knows its line."""


def _read_header(header: list[str], *, file: Path) -> tuple[str, ...]:
    classes = header[len(_BEFORE) : -len(_AFTER)]
    if header != [*_BEFORE, *classes, *_AFTER] or not classes or len(set(classes)) < len(classes):
        raise EvalError(
            f"{file}: the first line must be path,status,error,<classes>,labels, as 'vocscore "
            f"score' writes it; found {','.join(header)[:80]!r}."
        )
    return tuple(classes)


def _read_rows(rows: Iterable[list[str]], *, classes: tuple[str, ...], file: Path) -> Predictions:
    width, missing = len(classes), [np.nan] * len(classes)
    values, failed = array("f"), bytearray()
    paths: dict[str, None] = {}
    for row in rows:
        if len(row) != len(_BEFORE) + width + len(_AFTER):
            raise _BadRowError(f"{len(row)} columns instead of {width + 4}; was it cut short?")
        path, status = row[0], row[1]
        if path in paths:
            raise _BadRowError(f"{shown(path)} a second time")
        if status not in ("ok", "error"):
            raise _BadRowError(f"status {status!r} is neither ok nor error")
        paths[path] = None
        failed.append(status == "error")
        values.extend(_numbers(row[3:-1]) if status == "ok" else missing)
    table = np.frombuffer(values, dtype=np.float32).reshape(len(paths), width)
    found = Predictions(classes, tuple(paths), table, np.frombuffer(failed, dtype=np.bool_))
    _check_probabilities(found, file=file)
    return found


def _numbers(cells: list[str]) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError as error:
        raise _BadRowError(str(error)) from error


def _check_probabilities(found: Predictions, *, file: Path) -> None:
    fine = (found.probabilities >= 0) & (found.probabilities <= 1)
    bad = np.argwhere(~fine & ~found.failed[:, None])
    if len(bad):
        row, column = bad[0]
        raise EvalError(
            f"{file}: {shown(found.paths[row])} has {found.probabilities[row, column]} for "
            f"{found.classes[column]}, which is no probability. Score again."
        )
