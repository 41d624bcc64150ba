"""Reads the class names in the values of one column."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from shards.errors import SourceError
from shards.sources.hugging_face.choice import SEVERAL, key
from shards.sources.hugging_face.kinds import Kind, is_multi_hot, kind_of
from shards.sources.table.cells import MISSING_VALUES, ListError, bad_name, parse_list, quoted
from shards.sources.table.separator import UncertainError, find_separator, split_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shards.sources.hugging_face.rows import Rows


_INTEGER: Final = re.compile(r"[+-]?\d+")
_NO_LABEL: Final = "-1"
"""As `datasets` writes it among numbers of classes."""


class Names:
    """Reads the class names in the values of one column.

    Attributes:
        classes: the names that the schema declares, or None.
    """

    def __init__(
        self, files: Sequence[Rows], column: str, kind: Kind, separator: str | None
    ) -> None:
        self.classes = files[0].names.get(column)
        for one in files[1:]:
            if one.names.get(column) != self.classes:
                raise SourceError(
                    f"{one.file}: {column!r} has other class names than in {files[0].file}. Give "
                    "files with the same names."
                )
        if kind is Kind.OTHER:
            raise SourceError(_other(files, column))
        if kind is Kind.NUMBERS and is_multi_hot([v for one in files for v in one.columns[column]]):
            raise SourceError(
                f"{files[0].file}, column {column!r}: looks like a 1 or 0 for each class, not like "
                "numbers of classes. Write a column per class, or the names."
            )
        self._column = column
        self._text = files[0].text
        self._given = separator is not None
        self._numbers = self._text and all(
            _INTEGER.fullmatch(cell.strip())
            for one in files
            for cell in one.columns[column]
            if cell.strip()
        )
        self._separator = separator or ";"
        if kind is Kind.TEXT and separator is None:
            self._separator = self._found(files)

    def _found(self, files: Sequence[Rows]) -> str:
        """The separator that the text shows.

        Raises:
            SourceError: a cell may be one name or several.
        """
        cells = {
            cell.strip(): one
            for one in files
            for cell in one.columns[self._column]
            if cell is not None and cell.strip() and self._list(cell, "") is None
        }
        several = key(self._column) in SEVERAL
        try:
            return find_separator(list(cells), several=several, one_a_row=lambda: False)
        except UncertainError as error:
            raise SourceError(
                f"{files[0].file}, column {self._column!r}: {quoted(error.cell)} may be one class, "
                f"or several. Say which: `label_separator={error.separator!r}` for several, "
                "`label_separator=';'` for one."
            ) from None

    def read(self, rows: Rows) -> list[tuple[str, ...] | None]:
        """The class names of each row; None where there is no value, or -1."""
        return [
            self._row(value, rows.place(row))
            for row, value in enumerate(rows.columns[self._column])
        ]

    def _row(self, value: Any, place: str) -> tuple[str, ...] | None:
        where = f"{place}, column {self._column!r}"
        if value is None:
            return None
        if isinstance(value, str):
            if self._numbers and value.strip() == _NO_LABEL:
                return None
            self._refuse_missing(value, where)
            listed = self._list(value, where)
            names = split_names(value, self._separator) if listed is None else listed
        elif isinstance(value, list):
            found = [self._name(one, where) for one in value]
            if None in found:
                return None
            names = [name for name in found if name is not None]
        else:
            name = self._name(value, where)
            if name is None:
                return None
            names = [name]
        for name in names:
            if why := bad_name(name):
                raise SourceError(f"{where}: {quoted(name)} {why}")
        return tuple(sorted({name for one in names if (name := one.strip())}))

    def _refuse_missing(self, value: str, where: str) -> None:
        if self._text and not self._given and value.strip() in MISSING_VALUES:
            raise SourceError(
                f"{where}: {quoted(value)} usually means a missing value. Leave the cell blank "
                "where an image has no label; if it is a class, use `label_separator=';'`."
            )

    def _list(self, cell: str, where: str) -> list[str] | None:
        """The names of a cell that is a list as text, in files of text."""
        if not self._text:
            return None
        try:
            return parse_list(cell)
        except ListError:
            if not where:
                return None
            raise SourceError(
                f"{where}: {quoted(cell)} begins like a list but is not one. Separate the names "
                "with ';'."
            ) from None

    def _name(self, value: Any, where: str) -> str | None:
        """The class name that a value stands for; None for -1, which `datasets` writes for none."""
        if isinstance(value, str):
            return value
        if value == -1:
            return None
        if self.classes is None:
            return str(value)
        if not 0 <= value < len(self.classes):
            raise SourceError(
                f"{where}: {value} is not the number of one of the {len(self.classes)} classes "
                "(from 0). Correct it."
            )
        return str(self.classes[value])


def _other(files: Sequence[Rows], column: str) -> str:
    """The message for a column that has no labels."""
    cure = "Name another column: `label_column=['NAME']`."
    for one in files:
        for row, value in enumerate(one.columns[column]):
            if value is not None and kind_of(value) is Kind.OTHER:
                found = f"{quoted(str(value))} is neither text, a number, nor a list of them"
                return f"{one.place(row)}, column {column!r}: {found}. {cure}"
    there = any(value is not None for one in files for value in one.columns[column])
    what = "values of several kinds" if there else "no values"
    return f"{files[0].file}: column {column!r} has {what}. {cure}"
