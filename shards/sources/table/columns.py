"""Summarizes the contents of each column of a table, to determine the column's role."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from shards.sources.table.cells import quoted, truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from shards.sources.table.text import TableText

_LABEL_WORDS: Final = frozenset(
    {
        *("labels", "label", "tags", "tag", "classes", "class", "categories", "category"),
        *("choices", "choice"),
    }
)
_NEVER_CLASSES: Final = frozenset(
    {
        *("", "index", "idx", "width", "height", "depth", "channels", "fold"),
        *("xmin", "ymin", "xmax", "ymax", "notes", "note", "comment", "comments", "remarks"),
        *("description", "url", "md5", "sha256", "annotator", "annotators", "leadtime"),
        *("confidence", "score", "probability", "prob", "value", "isvalid", "istrain", "istest"),
    }
)
_ID_WORDS: Final = frozenset({"id", "ids", "idx", "index", "uuid"})
_UNNAMED: Final = re.compile(r"unnamed\d+")
"""Pandas' name for a column with a blank header."""
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+")
_DISTINCT: Final = 1000
"""Maximum distinct cells kept per column; no column of truth values has that many spellings."""
_CHUNK: Final = 4096
FIRST_CELLS: Final = 100
"""Number of cells of each column that are kept in order."""


@dataclass(eq=False)
class Column:
    """One column and a summary of its contents.

    Attributes:
        at: its index, from 0.
        name: its name in the header, stripped.
        counts: stripped cell -> number of rows; None if there are too many distinct cells.
        first: the first `FIRST_CELLS` cells, unchanged.
    """

    at: int
    name: str
    counts: Counter[str] | None = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The name in lower case, letters and digits only."""
        return "".join(filter(str.isalnum, self.name.casefold()))

    @property
    def label(self) -> str:
        """The name as shown in messages."""
        return repr(self.name) if self.name else f"column {self.at + 1} (unnamed)"

    @property
    def last_word(self) -> str:
        """The last word of the name in lower case: 'id' of 'ImageID'."""
        words = _WORD.findall(self.name)
        return words[-1].casefold() if words else ""

    @property
    def ends_like_labels(self) -> bool:
        """Whether the name ends like 'Finding Labels', or like 'label_2' and cells have text."""
        return self.last_word in _LABEL_WORDS or self.is_numbered_label

    @property
    def is_numbered_label(self) -> bool:
        """Whether the name ends like 'label_2' and the cells have text."""
        words = [word.casefold() for word in _WORD.findall(self.name)][-2:]
        numbered = len(words) > 1 and words[0] in _LABEL_WORDS and words[1].isdecimal()
        return numbered and self.has_text

    @property
    def never_a_class(self) -> bool:
        """Whether the name is that of an id, a number or a remark about the image."""
        if self.key in _NEVER_CLASSES or _UNNAMED.fullmatch(self.key):
            return True
        return self.last_word in _ID_WORDS

    @property
    def is_empty(self) -> bool:
        """Whether every cell is blank."""
        return self.counts is not None and not any(self.counts)

    @property
    def is_truths(self) -> bool:
        """Whether every cell is a truth value, including blanks."""
        return self.counts is not None and all(truth(cell) is not None for cell in self.counts)

    @property
    def is_numbers(self) -> bool:
        """Whether every cell that is not blank consists of digits."""
        return self.counts is not None and all(map(str.isdigit, filter(None, self.counts)))

    @property
    def has_text(self) -> bool:
        """Whether any of the first cells is neither a truth value nor a number."""
        return any(truth(cell) is None and not is_number(cell) for cell in self.first)

    @property
    def is_constant(self) -> bool:
        """Whether all cells have the same truth value: all 1, all 0 or blank, or all -1."""
        return self.counts is not None and len(set(map(truth, self.counts))) == 1

    @property
    def is_mostly_truths(self) -> bool:
        """Whether at least half of the cells that are not blank are truth values.

        A column with a different number in each row is a row number, even in a short table.
        """
        if self.counts is None:
            return False
        rows = {cell: rows for cell, rows in self.counts.items() if cell}
        if self.is_numbers and max(rows.values(), default=0) <= 1:
            return False
        truths = sum(count for cell, count in rows.items() if truth(cell) is not None)
        return 2 * truths >= sum(rows.values())


def is_number(cell: str) -> bool:
    """Whether a cell is a number of any kind."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def survey(text: TableText) -> tuple[list[Column], int]:
    """Read the table once and summarize its columns.

    Returns:
        The columns, in order, and the number of rows.

    Raises:
        SourceError: a record cannot be read.
    """
    columns = [Column(at, name) for at, name in enumerate(text.header.cells)]
    total = 0
    records = text.rows()
    while rows := [row.cells for row in islice(records, _CHUNK)]:
        for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
            if total == 0:
                column.first = list(cells[:FIRST_CELLS])
            if column.counts is not None:
                column.counts.update(map(str.strip, cells))
                if len(column.counts) > _DISTINCT and not column.ends_like_labels:
                    column.counts = None
        total += len(rows)
    return columns, total


def first_cell(text: TableText, column: Column, wanted: Callable[[str], bool]) -> str:
    """The location and the text of the first cell of a column for which `wanted` is true.

    Raises:
        LookupError: there is none, although the caller has counted one.
    """
    for row in text.rows():
        cell = row.cells[column.at].strip()
        if wanted(cell):
            place = f"{text.file}, line {row.line}, column {column.label}"
            return f"{place}: {quoted(cell)}"
    raise LookupError(column.name)
