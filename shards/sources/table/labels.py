"""Reads the class names in the cells of the label column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.errors import SourceError
from shards.sources.table.cells import MISSING_VALUES, ListError, bad_name, parse_list
from shards.sources.table.columns import first_cell
from shards.sources.table.separator import (
    COMMON,
    DEFAULT,
    UncertainError,
    find_separator,
    split_names,
)
from shards.sources.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shards.sources.table.columns import Column
    from shards.sources.table.text import TableText

MARKS = {" ": "blanks", "\n": "line breaks", "\t": "tabs"}
"""Separators that are invisible in quotes, with their names."""


class LabelCells:
    """Reads the cells of a label column.

    Attributes:
        single: whether no cell has more than one name.
        names: all names that occur.
    """

    def __init__(
        self, text: TableText, column: Column, path: Column, *, several: bool, separator: str | None
    ) -> None:
        """Determine how the names are written.

        Args:
            text: the table.
            column: the label column.
            path: the path column, which identifies the rows of one image.
            several: whether the column's name implies several names per cell.
            separator: the separator given by the user, or None.

        Raises:
            SourceError: a cell is invalid or ambiguous; names the line.
        """
        self._text = text
        self._column = column
        self._path = path
        self._given = separator
        self._read: dict[str, tuple[str, ...]] = {"": ()}
        self._lists = 0
        cells = [cell for cell in column.counts or () if cell]
        plain = [cell for cell in cells if not self._take_list(cell)]
        self._separator = separator or self._find_separator(plain, several=several)
        if separator is not None:
            self._refuse_other(plain, separator)
        for cell in plain:
            self._take(cell)
        self.single = all(len(names) < 2 for names in self._read.values())
        self.names = frozenset(name for names in self._read.values() for name in names)

    def read(self, cell: str) -> tuple[str, ...]:
        """The names in a cell, sorted, each once."""
        return self._read[cell.strip()]

    def notes(self) -> Iterator[str]:
        """A line per way of writing names that differs from the documented one."""
        name, column = self._text.file.name, self._column.label
        if self._lists:
            yield f"{name}: lists of names in {column} ({counted(self._lists, 'different one')})"
        parted = [cell for cell in self._read if self._separator in cell]
        mark = MARKS.get(self._separator, repr(self._separator))
        if self._given not in {None, DEFAULT} and not parted:
            yield f"{name}: no cell of {column} contains {mark} (`label_separator`)"
        elif self._given is None and self._separator != DEFAULT:
            yield f"{name}: the names in {column} are separated by {mark}, as in {min(parted)!r}"

    def _take_list(self, cell: str) -> bool:
        """Read a cell if it is a list; return whether it is."""
        try:
            names = parse_list(cell)
        except ListError:
            if self._given is not None:
                return False
            raise SourceError(
                f"{self._where(cell)} begins like a list but is not one in Python or JSON. "
                "Separate the names with ';'."
            ) from None
        if names is None:
            return False
        self._lists += 1
        self._keep(cell, [name for text in names if (name := text.strip())])
        return True

    def _take(self, cell: str) -> None:
        """Read a cell with separated names."""
        if cell in MISSING_VALUES and self._given is None:
            raise SourceError(
                f"{self._where(cell)} usually means a missing value. Leave the cell blank where "
                "an image has no label; if it is a class, use `label_separator=';'`."
            )
        names = split_names(_one_line_end(cell), self._separator)
        for name in names:
            if name.count('"') % 2:
                raise SourceError(f"{self._where(cell)} has an unclosed quote. Correct it.")
        self._keep(cell, names)

    def _keep(self, cell: str, names: Iterable[str]) -> None:
        kept = tuple(sorted(set(names)))
        for name in kept:
            if why := bad_name(name):
                raise SourceError(f"{self._where(cell)} {why}")
        self._read[cell] = kept

    def _find_separator(self, cells: Iterable[str], *, several: bool) -> str:
        by_text = {_one_line_end(cell): cell for cell in cells}
        try:
            return find_separator(by_text, several=several, one_a_row=self._one_a_row)
        except UncertainError as error:
            cell = next(c for text, c in by_text.items() if error.cell in text)
            parts = MARKS.get(error.separator, repr(error.separator))
            raise SourceError(
                f"{self._where(cell)} may be one class, or several separated by {parts}. Say "
                f"which: `label_separator={error.separator!r}` for several, `label_separator=';'` "
                "for one."
            ) from None

    def _refuse_other(self, cells: Sequence[str], separator: str) -> None:
        """Refuse a separator that no cell contains, if cells contain another one."""
        if separator == DEFAULT or any(separator in cell for cell in cells):
            return
        for cell in cells:
            if any(mark in cell for mark in (DEFAULT, *COMMON)):
                raise SourceError(
                    f"{self._where(cell)}: no cell contains the {separator!r} of "
                    "`label_separator`. Give the separator that the cells use."
                )

    def _one_a_row(self) -> bool:
        """Whether any image has two rows with different labels."""
        first: dict[str, str] = {}
        for row in self._text.rows():
            cell = row.cells[self._column.at].strip()
            if cell and first.setdefault(row.cells[self._path.at].strip(), cell) != cell:
                return True
        return False

    def _where(self, wanted: str) -> str:
        """The location of the first such cell, and its text."""
        return first_cell(self._text, self._column, lambda cell: cell == wanted)


def _one_line_end(cell: str) -> str:
    return cell.replace("\r\n", "\n").replace("\r", "\n")
