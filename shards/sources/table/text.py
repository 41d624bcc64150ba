"""Reads a table's text as spreadsheets and libraries export it: encoding, delimiter, records."""

from __future__ import annotations

import codecs
import csv
import io
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.errors import SourceError
from shards.sources.whole_file import read_whole
from shards.sources.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

DELIMITERS: Final = (",", ";", "\t", "|")

_OTHER_FILES: Final = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive. Export it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook. Export it as CSV"),
    (b"PAR1", "a Parquet file. Export it as CSV"),
    (b"SQLite format 3", "a database. Export a table of it as CSV"),
    (b"\x1f\x8b", "compressed by gzip. Unpack it"),
    (b"BZh", "compressed by bzip2. Unpack it"),
    (b"\xfd7zXZ", "compressed by xz. Unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd. Unpack it"),
)
_MARKUP: Final = {
    b"{": "JSON. If it is COCO, use `coco`",
    b"[": "JSON. Export it as CSV",
    b"<": "XML or HTML. Export it as CSV",
}
_UTF_32: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANK_BEFORE_QUOTE: Final = re.compile(rb'(?:^|[\r\n,;\t|]) +"')
_SEPARATOR_LINE: Final = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE)
"""Excel's optional first line, which declares the delimiter."""
_LARGEST_CELL: Final = (1 << 31) - 1


class Row(NamedTuple):
    """One record of a table.

    Attributes:
        line: the line where it starts, from 1.
        cells: as many as the header has names (any number in the header itself).
    """

    line: int
    cells: Sequence[str]


@dataclass(frozen=True)
class _Source:
    """The bytes of a table.

    Attributes:
        file: its path, for messages.
        data: UTF-8 without a byte order mark.
        skipped: number of lines above the header.
        blanks: whether blanks precede quotes, and so are not part of cells.
    """

    file: Path
    data: bytes
    skipped: int
    blanks: bool

    def records(self, delimiter: str) -> Iterator[Row]:
        """The records that are not blank, the header first.

        Raises:
            SourceError: a record has invalid quotes; names the line.
        """
        lines = _lines(self.data)
        for _ in range(self.skipped):
            next(lines)
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=self.blanks, strict=True)
        while True:
            line = self.skipped + reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                at = self.skipped + reader.line_num
                raise SourceError(f"{self.file}, line {_bad_quotes(error, line, at)}") from error
            if cells is None:
                return
            if any(map(str.strip, cells)):
                yield Row(line, cells)

    def header(self, delimiter: str) -> Row | None:
        """The first record, with stripped names; None if there is none.

        Raises:
            SourceError: its quotes are invalid, as with the wrong delimiter.
        """
        row = next(self.records(delimiter), None)
        return row and Row(row.line, [cell.strip().strip("\ufeff").strip() for cell in row.cells])


@dataclass(frozen=True)
class TableText:
    """A table whose delimiter and header are known.

    Attributes:
        source: the bytes.
        delimiter: the delimiter of cells.
        header: the first record, with stripped names.
        notes: lines on what was skipped.
    """

    source: _Source
    delimiter: str
    header: Row
    notes: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """Its path, for messages."""
        return self.source.file

    def rows(self) -> Iterator[Row]:
        """The records below the header that are not blank, each as wide as the header.

        Raises:
            SourceError: a record is shorter or longer, or has invalid quotes; names the line.
        """
        width = len(self.header.cells)
        named = max((at for at, name in enumerate(self.header.cells, 1) if name), default=0)
        records = self.source.records(self.delimiter)
        next(records)
        for row in records:
            cells = row.cells
            if len(cells) != width:
                # Some programs omit or add blank cells at the end of a line.
                if len(cells) < named or any(cell.strip() for cell in cells[width:]):
                    raise SourceError(self._uneven(row))
                cells = [*cells[:width], *[""] * (width - len(cells))]
            yield Row(row.line, cells)

    def _uneven(self, row: Row) -> str:
        found, width = len(row.cells), len(self.header.cells)
        cells = counted(found, "cell")
        text = f"{self.file}, line {row.line}: {cells}, but the header has {width}."
        if found > width:
            return f"{text} Put quotes around a cell that contains {self.delimiter!r}."
        return f"{text} A blank cell still needs its {self.delimiter!r}."


@contextmanager
def cells_of_any_size() -> Iterator[None]:
    """Let the csv module read cells of more than 128 KiB, such as masks and embedded images.

    The limit is global to the process, so it is restored.
    """
    before = csv.field_size_limit(_LARGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def load_table(file: Path, is_header: Callable[[Sequence[str]], bool]) -> TableText:
    """Read a table and detect its delimiter from its header.

    Args:
        file: UTF-8, or UTF-16 with a byte order mark.
        is_header: whether names form a header. The delimiter is the one that splits the first
            line into such names; if none does, the one that splits it into the most cells.

    Raises:
        SourceError: it cannot be read, is not text, is empty or has another encoding; several
            delimiters fit.
    """
    data = _utf8(file)
    skipped, delimiters, notes = _preamble(file, data)
    blanks = b' "' in data and _BLANK_BEFORE_QUOTE.search(data) is not None
    source = _Source(file, data, skipped, blanks)
    headers = _headers(source, delimiters)
    fitting = [d for d, row in headers.items() if is_header(row.cells)]
    if len(fitting) > 1:
        marks = " and ".join(map(repr, fitting))
        raise SourceError(
            f"{file}, line {headers[fitting[0]].line}: {marks} could both be the delimiter of this "
            "header. Keep only one of them."
        )
    best = fitting[0] if fitting else max(headers, key=lambda d: len(headers[d].cells))
    return TableText(source, best, headers[best], notes)


def _headers(source: _Source, delimiters: Iterable[str]) -> dict[str, Row]:
    """The header as split by each delimiter."""
    headers: dict[str, Row] = {}
    bad_quotes: SourceError | None = None
    for delimiter in delimiters:
        try:
            row = source.header(delimiter)
        except SourceError as error:
            bad_quotes = error
            continue
        if row is not None:
            headers[delimiter] = row
    if headers:
        return headers
    raise bad_quotes or SourceError(
        f"{source.file}: contains no table. Begin it with a header such as 'path,labels'."
    )


def _utf8(file: Path) -> bytes:
    """The bytes of the file, as UTF-8 without a byte order mark."""
    data = read_whole(file)
    for begin, kind in _OTHER_FILES:
        if data.startswith(begin):
            raise SourceError(f"{file}: not a CSV table but {kind}.")
    if data.startswith(_UTF_32):
        raise SourceError(f"{file}: encoded as UTF-32. Save it as UTF-8.")
    if data.startswith(_UTF_16):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeError as error:
            raise SourceError(f"{file}: damaged UTF-16: {error}. Save it as UTF-8.") from error
    if b"\0" in data:
        raise SourceError(
            f"{file}: contains NUL bytes: not text, or UTF-16 without a byte order mark. Save it "
            "as UTF-8 (in Excel: 'CSV UTF-8')."
        )
    data = data.removeprefix(codecs.BOM_UTF8)
    if markup := _MARKUP.get(data.lstrip()[:1]):
        raise SourceError(f"{file}: not a CSV table but {markup}.")
    return data


def _lines(data: bytes) -> io.TextIOWrapper:
    """The text as lines, each with its end: line feed, carriage return or both."""
    # A path may contain bytes that are not text, as file names can; class names are checked later.
    return io.TextIOWrapper(io.BytesIO(data), "utf-8", errors="surrogateescape", newline="")


def _preamble(file: Path, data: bytes) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """The number of lines above the header, its possible delimiters, and notes."""
    delimiters: tuple[str, ...] = DELIMITERS
    comments = skipped = 0
    for number, line in enumerate(_lines(data), 1):
        text = line.strip()
        if match := _SEPARATOR_LINE.fullmatch(line.strip("\r\n ")):
            delimiters = (match[1],)
        elif text.startswith("#"):
            comments += 1
        elif text:
            break
        skipped = number
    if not comments:
        return skipped, delimiters, ()
    lines = "1 line that begins" if comments == 1 else f"{comments} lines that begin"
    return skipped, delimiters, (f"{file.name}: {lines} with '#' above the header: skipped",)


def _bad_quotes(error: csv.Error, first: int, last: int) -> str:
    """The message for a record with invalid quotes."""
    if "unexpected end" in str(error):
        return f"{first}: a quote is opened on this line and never closed. Close it."
    if "expected after" in str(error):
        return (
            f"{last}: text after a closing quote. Write two quotes for one inside a cell, and no "
            "blank between a quote and the delimiter."
        )
    return f"{last}: {error}. Save it as CSV again."
