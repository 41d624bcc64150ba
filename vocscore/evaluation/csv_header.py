"""Reads the header of a CSV of predictions, and rows by it."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vocscore.errors import EvalError
from vocscore.evaluation.collected import BadRowError, left_out
from vocscore.records.top_k_columns import count_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


BEFORE = ["path", "status", "error"]
LAST = "labels"
_BETWEEN = ";"
_OTHERS_BETWEEN = "|,"
"""Separators between labels where ';' separates columns."""
_SEPARATORS = ",;\t"
_INDEX = re.compile(r"|index|level_\d+|Unnamed: \d+(\.\d+)?")
"""Names that pandas gives to its index column."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    """The layout of the table.

    Attributes:
        columns: number of columns.
        start: index of the column `path`; columns before it are an index.
        classes: the columns of probabilities; or, with `pairs`, all that a row may name.
        pairs: of columns `label_1,probability_1,...`; 0: there is one column per class.
        says_labels: the last column has labels that can be separated.
        separator: between columns.
    """

    columns: int
    start: int
    classes: tuple[str, ...]
    pairs: int
    says_labels: bool
    separator: str

    def row(self, row: Sequence[str]) -> tuple[str, str, Sequence[str], list[str] | None]:
        """Path, status, cells of the classes, and labels; None if the row does not have labels.

        Raises:
            BadRowError: other columns than the header.
        """
        if len(row) != self.columns:
            row = self._fitted(row)
        after = self.start + len(BEFORE)
        end = after + (2 * self.pairs or len(self.classes))
        labels = self._labels(row[end]) if self.says_labels else None
        return row[self.start], row[self.start + 1], row[after:end], labels

    def _fitted(self, row: Sequence[str]) -> Sequence[str]:
        """Fit a row of too many columns, if the excess can only be empty cells or labels."""
        more = row[self.columns :]
        if more and not any(more):
            return row[: self.columns]
        tail = row[self.columns - 1 :]
        if more and self.says_labels and all(name in self.classes for name in tail):
            return [*row[: self.columns - 1], _BETWEEN.join(tail)]
        why = "truncated?"
        if more:
            why = "an unquoted separator in a cell?"
            if self.separator == ",":
                why = (
                    "decimal commas and the commas between columns look the same: save it with "
                    "';' between columns, or with decimal points"
                )
        raise BadRowError(f"{len(row)} columns instead of {self.columns} ({why})")

    def _labels(self, cell: str) -> list[str]:
        if not cell or (cell in ("nan", "NaN") and cell not in self.classes):
            return []
        names = cell.split(_BETWEEN)
        for between in _OTHERS_BETWEEN:
            others = [name.strip() for name in cell.split(between)]
            if names[0] not in self.classes and all(name in self.classes for name in others):
                return others
        return names


def separator_of(header: str) -> str:
    """Find the column separator: the one with which the header is that of predictions, else ','."""
    for separator in _SEPARATORS:
        names = next(csv.reader([header], delimiter=separator), [])
        if set(BEFORE) <= set(names):
            return separator
    return ","


def read_header(
    header: list[str], separator: str, *, file: Path, known: tuple[str, ...]
) -> CsvTable:
    """Find the columns by the header.

    Args:
        header: the cells.
        separator: between them.
        file: for the error.
        known: the classes, for a header that does not name them.

    Raises:
        EvalError: it is not the header of predictions.
    """
    columns = len(header)
    while columns and not header[columns - 1]:  # a spreadsheet's empty columns
        columns -= 1
    start = header.index(BEFORE[0]) if BEFORE[0] in header else 0
    classes = header[start + len(BEFORE) : columns]
    is_index = all(_INDEX.fullmatch(name) for name in header[:start])
    if header[start : start + len(BEFORE)] != BEFORE or not classes or not is_index:
        empty = "" if header else "it is empty: "
        raise EvalError(
            f"{file}: {empty}the first line must be path,status,error,<classes>,labels, as "
            f"'vocscore score' writes it; found {','.join(header)[:80]!r}."
        )
    if LAST in classes[:-1]:
        behind = ", ".join(map(repr, classes[classes.index(LAST) + 1 :]))
        raise EvalError(
            f"{file}: '{LAST}' must be the last column, but {behind} follows. Remove columns that "
            "are not classes, and put classes before it."
        )
    has_labels = classes[-1] == LAST
    names = tuple(classes[:-1] if has_labels else classes)
    pairs = count_pairs(names)
    if pairs:
        names = known
    # names that contain the separator between labels cannot be separated
    says_labels = has_labels and not any(_BETWEEN in name for name in names)
    return CsvTable(columns, start, names, pairs, says_labels, separator)


def spread(cells: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Put pairs of a class and its probability in the order of the classes; '' is not written.

    Raises:
        BadRowError: a class is unknown.
    """
    given = dict(zip(cells[::2], cells[1::2], strict=True))
    given.pop("", None)
    found = [given.pop(name, "") for name in classes]
    if given:
        raise BadRowError(f"{next(iter(given))!r} is not among the classes of the record")
    return found


def numbers_of(cells: Sequence[str], classes: Sequence[str], *, partial: bool) -> list[float]:
    """Read the cells of probabilities.

    Args:
        cells: one per class.
        classes: names of the classes, in that order.
        partial: whether an empty cell is a probability that was not written: NaN.

    Raises:
        BadRowError: a cell is not a number, or a probability is left out.
    """
    try:
        return [float(cell) for cell in cells]
    except ValueError as error:
        if "" in cells and partial:
            given = [cell or "nan" for cell in cells]
            return numbers_of(given, classes, partial=False)
        if "" in cells:
            raise left_out(classes[cells.index("")]) from None
        try:
            return [float(cell.replace(",", ".")) for cell in cells]
        except ValueError:
            raise BadRowError(str(error)) from error
