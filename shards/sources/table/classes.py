"""Finds the columns of truth values: per class, or for the label of a row."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.sources.table.cells import bad_name, quoted, truth
from shards.sources.table.columns import first_cell, is_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shards.sources.table.columns import Column
    from shards.sources.table.text import TableText

_STRENGTHS: Final = ("confidence", "score", "probability", "prob", "value", "present", "presence")
_FEW: Final = 10
"""Number of cells too small to draw conclusions from."""


def truth_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns that contain only truth values and whose names may be class names."""
    return tuple(c for c in columns if c.is_truths and not c.never_a_class)


def class_columns(text: TableText, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The class columns of a table without a label column.

    Raises:
        SourceError: it is unclear whether a column is one; a name is missing, repeated or not a
            valid class name; -1 is used where 0 must be meant.
    """
    head = f"{text.file}, line {text.header.line}"
    for column in columns:
        if not column.name and column.at and not column.is_empty:
            raise SourceError(
                f"{head}: column {column.at + 1} has cells but no name. Name or remove it."
            )
        if not column.is_truths and column.is_mostly_truths and not column.never_a_class:
            bad = first_cell(text, column, lambda cell: truth(cell) is None)
            raise SourceError(
                f"{bad} is not a truth value, unlike most cells of this column. Write 1, 0, -1 "
                "(only difficult instances) or nothing; remove the column if it is not a class."
            )
    classes = truth_columns(columns)
    names = [column.name for column in classes]
    for column in classes:
        if names.count(column.name) > 1:
            raise SourceError(f"{head}: two columns {column.name!r} in the header. Keep one.")
        if why := bad_name(column.name):
            raise SourceError(f"{head}, column {column.at + 1}: {quoted(column.name)} {why}")
    _refuse_minus_for_absent(text, classes)
    _refuse_other_labels(text, classes, columns)
    return classes


def _refuse_other_labels(
    text: TableText, classes: Sequence[Column], columns: Sequence[Column]
) -> None:
    """Refuse class columns that are all constant, if a text column may be the labels."""
    if not classes or not all(column.is_constant for column in classes):
        return
    rows = sum((classes[0].counts or Counter()).values())
    others = [c for c in columns if c not in classes and c.has_text and not c.never_a_class]
    if rows > 1 and others:
        named = ", ".join(column.label for column in classes)
        raise SourceError(
            f"{text.file}, line {text.header.line}: {named}, the same in every row, would be "
            f"the only classes, but {others[0].label} has text. Name the column of class "
            "names 'labels', or remove the columns that are not labels."
        )


def _refuse_minus_for_absent(text: TableText, classes: Sequence[Column]) -> None:
    """Refuse a table that uses -1 for absent: no class in it would be absent."""
    values: Counter[int | None] = Counter()
    for column in classes:
        for cell, rows in (column.counts or {}).items():
            values[truth(cell)] += rows
    if not values[0] and values[-1] and values.total() > _FEW:
        column = next(c for c in classes if any(truth(cell) == -1 for cell in c.counts or ()))
        bad = first_cell(text, column, lambda cell: truth(cell) == -1)
        raise SourceError(
            f"{bad} means that an image has only difficult instances of a class, but no cell "
            "marks a class as absent. Write 0 for absent."
        )


def strength_columns(text: TableText, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns that say, in a table of one label per row, whether the label applies.

    Raises:
        SourceError: a column has numbers other than 0 and 1.
    """
    found = []
    for column in columns:
        if column.key not in _STRENGTHS or column.is_empty:
            continue
        if column.counts and all(cell and truth(cell) in {0, 1} for cell in column.counts):
            found.append(column)
        elif any(map(is_number, column.first)):
            bad = first_cell(text, column, lambda cell: not cell or truth(cell) not in {0, 1})
            raise SourceError(
                f"{bad} is neither 0 nor 1, so it is unclear whether the label applies. Keep only "
                "the rows that apply and remove the column."
            )
    return tuple(found)
