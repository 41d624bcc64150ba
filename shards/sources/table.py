"""A folder of pictures with their labels in a CSV table."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, NamedTuple

from shards.errors import Reason, SourceError
from shards.files import open_text
from shards.paths import relative_path, shown
from shards.sample import AnnotatedSet, Rejection, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_VALUES = ("1", "0", "-1")


class _Row(NamedTuple):
    """One record of the table, with the line that it starts in."""

    line: int
    cells: Sequence[str]


def read_table(root: Path, file: Path) -> AnnotatedSet:
    r"""Read the labels of a plain folder of pictures from a table.

    Two kinds, by the header: `path,labels` has the class names in one cell, ';' between them,
    blank for none. `path,CLASS,CLASS,...` has one column a class: 1 present, 0 absent, -1 only
    'difficult' instances. Pictures in the folder that the table does not name are left aside.

    Args:
        root: the folder that paths are relative to.
        file: CSV with commas, UTF-8 with or without a byte order mark. '/' or '\' stands
            between folders; an absolute path may stand where it leads into `root`.

    Returns:
        The set; `classes` are the columns, in their order, for the second kind, else None. A
        picture that is not there is rejected (MISSING).

    Raises:
        SourceError: the header is neither, a value or a path is none, a path leads out of
            `root` or comes twice; names the line (and the column).
    """
    rows = _rows(file)
    header = [name.strip() for name in next(rows, _Row(1, ())).cells]
    classes = _read_header(header, file)
    lines: dict[str, int] = {}
    samples: list[Sample] = []
    rejected: list[Rejection] = []
    for row in rows:
        where = f"{file}, line {row.line}"
        if len(row.cells) != len(header):
            raise SourceError(f"{where}: {len(row.cells)} cells, but the header has {len(header)}.")
        path = _read_path(row.cells[0], root, where=where)
        if path in lines:
            raise SourceError(f"{where}: {shown(path)} stands in line {lines[path]} too. Keep one.")
        lines[path] = row.line
        sample = _read_sample(path, row.cells[1:], classes, where=where)
        if (root / path).is_file():
            samples.append(sample)
        else:
            detail = f"named in {file.name}, line {row.line}; no such file"
            rejected.append(Rejection(path, Reason.MISSING, detail))
    return AnnotatedSet(
        root=root,
        samples=tuple(sorted(samples, key=lambda sample: sample.path)),
        rejected=tuple(sorted(rejected, key=lambda rejection: rejection.path)),
        classes=classes,
    )


def _rows(file: Path) -> Iterator[_Row]:
    """The records that are not blank."""
    # A path may have bytes that are no text, as file names may; class names are checked later.
    with open_text(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise SourceError(f"{file}, line {reader.line_num}: {error}.") from error
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield _Row(line, cells)


def _read_header(header: Sequence[str], file: Path) -> tuple[str, ...] | None:
    """The classes of one column each, or None where the names stand in one cell."""
    if header == ["path", "labels"]:
        return None
    classes = tuple(header[1:])
    if header[:1] != ["path"] or not classes or not all(classes):
        raise SourceError(
            f"{file}: the header is {','.join(header)!r}. Write 'path,labels', or 'path' and one "
            "column a class, with commas."
        )
    for name in classes:
        if classes.count(name) > 1:
            raise SourceError(f"{file}: two columns {name!r} in the header. Keep one.")
    return classes


def _read_path(cell: str, root: Path, *, where: str) -> str:
    path = relative_path(cell, root)
    if path is None:
        raise SourceError(f"{where}: path {cell!r} is not inside {root}. Write it relative to it.")
    return path


def _read_sample(
    path: str, cells: Sequence[str], classes: Sequence[str] | None, *, where: str
) -> Sample:
    """One picture's labels, whichever way they are written."""
    if classes is None:
        names = {name.strip() for name in cells[0].split(";")} - {""}
        if not all(name.isprintable() for name in names):
            raise SourceError(
                f"{where}: {cells[0]!r} has characters that cannot be printed. Save it as UTF-8."
            )
        return Sample(path, tuple(sorted(names)))
    values = [cell.strip() for cell in cells]
    for name, value in zip(classes, values, strict=True):
        if value not in _VALUES:
            raise SourceError(f"{where}, column {name!r}: {value!r} is not 1, 0 or -1.")
    columns = list(zip(classes, values, strict=True))
    present = sorted(name for name, value in columns if value == "1")
    difficult = sorted(name for name, value in columns if value == "-1")
    return Sample(path, tuple(present), tuple(difficult))
