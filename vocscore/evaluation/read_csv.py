"""Predictions from CSV: as `vocscore score` writes it, or saved again by other programs.

Its columns are one per class, or with --top-k `label_1,probability_1,...`; see `read_header`.

Spreadsheets add a byte order mark, separate by ';' or tabs, and write decimal commas and other line
endings; pandas puts its index in front. All of that is read if it is unambiguous.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from itertools import chain
from typing import TYPE_CHECKING, Final, TextIO

from shards.files import open_binary
from vocscore.errors import EvalError
from vocscore.evaluation.collected import BadRowError
from vocscore.evaluation.csv_header import (
    BEFORE,
    LAST,
    CsvTable,
    numbers_of,
    read_header,
    separator_of,
    spread,
)
from vocscore.records.top_k_columns import top_k_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from vocscore.evaluation.collected import TakesRows

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
        classes = into.known if columns > len(BEFORE) + 1 else ()
        header = [*BEFORE, *(top_k_columns(pairs) or classes)]
        header += [LAST] * (columns > len(header))
        rows = csv.reader(stream)
        try:
            _add_rows(rows, read_header(header, ",", file=file, known=into.known), file, into)
        except (csv.Error, BadRowError) as error:
            raise EvalError(f"{file}, line {rows.line_num}: {error}. Score again.") from error


def _read(stream: TextIO, file: Path, into: TakesRows) -> None:
    first, skipped, separator = stream.readline(_LONGEST_LINE), 0, ""
    if len(first) == _LONGEST_LINE:
        raise EvalError(f"{file}: no line ending in its first 64 MiB, so not predictions. {_CURE}")
    if said := _SAYS_SEPARATOR.fullmatch(first):
        first, skipped, separator = stream.readline(), 1, said[1]
    separator = separator or separator_of(first)
    lines = _Lines(chain([first], stream))
    rows = csv.reader(lines, delimiter=separator)
    try:
        table = read_header(next(rows, []), separator, file=file, known=into.known)
        _add_rows(rows, table, file, into)
    except (csv.Error, BadRowError) as error:
        line = rows.line_num + skipped
        raise EvalError(f"{file}, line {line}: {error}. Score again.") from error
    if not lines.last.endswith(("\n", "\r")):
        into.notes.append(f"{file} has no final line ending: its last row may be truncated")


def _add_rows(rows: Iterable[list[str]], table: CsvTable, file: Path, into: TakesRows) -> None:
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
                cells = spread(cells, classes)
            into.add(path, status, numbers_of(cells, classes, partial=into.partial), labels)
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
