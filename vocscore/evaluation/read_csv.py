"""Predictions from CSV: as `vocscore score` writes it, or saved again by other programs.

Its columns are one per class, or with --top-k `label_1,probability_1,...`; see `_table`.

Spreadsheets add a byte order mark, separate by ';' or tabs, and write decimal commas and other line
endings; pandas puts its index in front. All of that is read if it is unambiguous.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final, TextIO

from shards.files import open_binary
from vocscore.errors import EvalError
from vocscore.evaluation.collected import BadRowError, left_out
from vocscore.records.top_k_columns import count_pairs, top_k_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from vocscore.evaluation.collected import TakesRows

_BEFORE = ["path", "status", "error"]
_LAST = "labels"
_BETWEEN = ";"
_OTHERS_BETWEEN = "|,"
"""Separators between labels where ';' separates columns."""
_SEPARATORS = ",;\t"
_INDEX = re.compile(r"|index|level_\d+|Unnamed: \d+(\.\d+)?")
"""Names that pandas gives to its index column."""
_SAYS_SEPARATOR = re.compile(r"sep=(.)\r?\n?")
"""A first line that tells spreadsheets the separator."""
_ENCODINGS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FILES: Final = (
    (b"PK\x03\x04", "an Excel workbook or another zip archive. Save it as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook. Save it as CSV (UTF-8)"),
    (b"\x1f\x8b", "compressed with gzip. Decompress it"),
    (b"PAR1", "Parquet. Rename it to end in .parquet"),
    (b"{", "JSON. Rename JSON lines to end in .jsonl; a record of predictions has no rows"),
)


def read_csv(file: Path, into: TakesRows) -> None:
    """Read a table with the columns path, status, error, one per class, and optionally labels.

    Raises:
        EvalError: it is another table, a row is damaged, or it is ambiguous.
        OSError: the file cannot be read.
    """
    with open_binary(file) as opened:
        encoding, errors = _encoding_of(opened.peek(4)[:4], file)
        with io.TextIOWrapper(opened, encoding, errors, newline="") as stream:
            try:
                _read(stream, file, into)
            except UnicodeDecodeError as error:
                raise EvalError(f"{file}: not {encoding} text ({error.reason}). {_CURE}") from error


_CURE = "Save it as CSV in UTF-8, or score again."


_LONGEST_LINE = 1 << 26
"""Maximum characters of a header; a damaged file may have no line ending at all."""


def read_csv_rows(file: Path, into: TakesRows, *, pairs: int = 0) -> None:
    """Read rows without a header, of an unfinished run; `into.known` are the classes.

    Args:
        file: the rows.
        into: takes them.
        pairs: of columns `label_1,probability_1,...`; 0: one column per class.

    Raises:
        EvalError: a row is damaged.
        OSError: the file cannot be read.
    """
    with (
        open_binary(file) as opened,
        io.TextIOWrapper(opened, "utf-8", "surrogateescape", newline="") as stream,
    ):
        columns = len(next(csv.reader(iter(stream.readline, "")), []))
        stream.seek(0)
        classes = into.known if columns > len(_BEFORE) + 1 else ()
        header = [*_BEFORE, *(top_k_columns(pairs) or classes)]
        header += [_LAST] * (columns > len(header))
        rows = csv.reader(stream)
        try:
            _add_rows(rows, _table(header, ",", file=file, known=into.known), file, into)
        except (csv.Error, BadRowError) as error:
            raise EvalError(f"{file}, line {rows.line_num}: {error}. Score again.") from error


def _read(stream: TextIO, file: Path, into: TakesRows) -> None:
    first, skipped, separator = stream.readline(_LONGEST_LINE), 0, ""
    if len(first) == _LONGEST_LINE:
        raise EvalError(f"{file}: no line ending in its first 64 MiB, so not predictions. {_CURE}")
    if said := _SAYS_SEPARATOR.fullmatch(first):
        first, skipped, separator = stream.readline(), 1, said[1]
    separator = separator or _separator(first)
    lines = _Lines(chain([first], stream))
    rows = csv.reader(lines, delimiter=separator)
    try:
        table = _table(next(rows, []), separator, file=file, known=into.known)
        _add_rows(rows, table, file, into)
    except (csv.Error, BadRowError) as error:
        line = rows.line_num + skipped
        raise EvalError(f"{file}, line {line}: {error}. Score again.") from error
    if not lines.last.endswith(("\n", "\r")):
        into.notes.append(f"{file} has no final line ending: its last row may be truncated")


def _add_rows(rows: Iterable[list[str]], table: _Table, file: Path, into: TakesRows) -> None:
    if table.pairs and not into.partial:
        raise EvalError(
            f"{file}: has only the largest probabilities of each image (written with `top_k`), but "
            "all are needed. Score again without `top_k`."
        )
    classes = into.expect(table.classes, file=file)
    for row in rows:
        path, status, cells, labels = table.row(row)
        if status == "ok":
            if table.pairs:
                cells = _spread(cells, classes)
            into.add(path, status, _numbers(cells, classes, partial=into.partial), labels)
        else:
            into.add(path, status, (), None, row[table.start + 2])


class _Lines:
    """Lines, remembering the last one."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.last = line
            yield line


@dataclass(frozen=True, slots=True)
class _Table:
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
        after = self.start + len(_BEFORE)
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


def _separator(header: str) -> str:
    """Find the column separator: the one with which the header is that of predictions, else ','."""
    for separator in _SEPARATORS:
        names = next(csv.reader([header], delimiter=separator), [])
        if set(_BEFORE) <= set(names):
            return separator
    return ","


def _table(header: list[str], separator: str, *, file: Path, known: tuple[str, ...]) -> _Table:
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
    start = header.index(_BEFORE[0]) if _BEFORE[0] in header else 0
    classes = header[start + len(_BEFORE) : columns]
    is_index = all(_INDEX.fullmatch(name) for name in header[:start])
    if header[start : start + len(_BEFORE)] != _BEFORE or not classes or not is_index:
        empty = "" if header else "it is empty: "
        raise EvalError(
            f"{file}: {empty}the first line must be path,status,error,<classes>,labels, as "
            f"'vocscore score' writes it; found {','.join(header)[:80]!r}."
        )
    if _LAST in classes[:-1]:
        behind = ", ".join(map(repr, classes[classes.index(_LAST) + 1 :]))
        raise EvalError(
            f"{file}: '{_LAST}' must be the last column, but {behind} follows. Remove columns that "
            "are not classes, and put classes before it."
        )
    has_labels = classes[-1] == _LAST
    names = tuple(classes[:-1] if has_labels else classes)
    pairs = count_pairs(names)
    if pairs:
        names = known
    # names that contain the separator between labels cannot be separated
    says_labels = has_labels and not any(_BETWEEN in name for name in names)
    return _Table(columns, start, names, pairs, says_labels, separator)


def _spread(cells: Sequence[str], classes: Sequence[str]) -> list[str]:
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


def _numbers(cells: Sequence[str], classes: Sequence[str], *, partial: bool) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError as error:
        if "" in cells and partial:
            given = [cell or "nan" for cell in cells]
            return _numbers(given, classes, partial=False)
        if "" in cells:
            raise left_out(classes[cells.index("")]) from None
        try:
            return [float(cell.replace(",", ".")) for cell in cells]
        except ValueError:
            raise BadRowError(str(error)) from error


def _encoding_of(start: bytes, file: Path) -> tuple[str, str]:
    """Find the encoding of a text by its byte order mark, and how to decode invalid bytes.

    Without a mark it is UTF-8, and bytes of names in other encodings become lone surrogates.

    Args:
        start: the first four bytes, or fewer if there are no more.
        file: for the error.

    Raises:
        EvalError: it is not text, but another known kind of file.
    """
    for first, what in _OTHER_FILES:
        if start.startswith(first):
            raise EvalError(f"{file}: {what}, or score again.")
    found = next((name for mark, name in _ENCODINGS if start.startswith(mark)), "utf-8")
    return found, "strict" if found == "utf-16" else "surrogateescape"
