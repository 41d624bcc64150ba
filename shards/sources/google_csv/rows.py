"""Parses the rows of an import CSV, which has no header.

Sources: https://cloud.google.com/vision/automl/docs/prepare and
https://cloud.google.com/vertex-ai/docs/image-data/classification/prepare-data
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.errors import SourceError
from shards.image_formats import format_of_name
from shards.sources.table.cells import bad_name, quoted
from shards.sources.table.columns import is_number
from shards.sources.table.text import cells_of_any_size
from shards.sources.whole_file import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNASSIGNED: Final = "UNASSIGNED"
SPLITS: Final = {
    **dict.fromkeys(("TRAIN", "TRAINING"), "train"),
    **dict.fromkeys(("VALIDATE", "VALIDATION"), "val"),
    **dict.fromkeys(("TEST", "TESTING"), "test"),
    UNASSIGNED: "",
}
"""Words of the first column, in upper case; Google assigns unassigned images to splits itself."""
NONE: Final = "none_of_the_above"
"""Google's label, in lower case and without the hyphens around it, of images with no label."""
_BOX_CELLS: Final = 8
"""Cells of a bounding box: x and y of four corners, of which two may be blank."""


class ImportRow(NamedTuple):
    """One row.

    Attributes:
        line: where it starts, from 1.
        path: the image, as written.
        split: 'train', 'val', 'test' or '' (unassigned); None if the row names none.
        labels: its class names.
        box: whether a bounding box was ignored.
    """

    line: int
    path: str
    split: str | None
    labels: tuple[str, ...]
    box: bool


def read_rows(file: Path) -> Iterator[ImportRow]:
    """Read the rows of an import CSV; blank ones are skipped.

    Raises:
        SourceError: it cannot be read or is not UTF-8; a row has no path, a cell that cannot be a
            class, or a box with too few numbers. Names the line.
    """
    text = read_whole(file).decode("utf-8-sig", "surrogateescape")
    if "\0" in text:
        raise SourceError(
            f"{file}: contains NUL bytes: not a CSV table in UTF-8. Save it as UTF-8."
        )
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        try:
            with cells_of_any_size():
                cells = next(reader, None)
        except csv.Error as error:
            raise SourceError(f"{file}, line {line}: {error}. Save it as CSV again.") from error
        if cells is None:
            return
        if any(map(str.strip, cells)):
            yield _parsed([cell.strip() for cell in cells], f"{file}, line {line}", line)


def _parsed(cells: list[str], where: str, line: int) -> ImportRow:
    split, rest = split_and_rest(cells)
    if not rest or not rest[0]:
        raise SourceError(f"{where}: no path of an image. Write 'TRAIN,path,label'.")
    if split is None and not is_image_path(rest[0]):
        raise SourceError(
            f"{where}: {quoted(cells[0])} is neither a path of an image nor one of TRAIN, "
            "VALIDATION, TEST and UNASSIGNED. Correct it; a table with a header is read with "
            "`from_='table'`."
        )
    path, *labels = rest
    box = len(labels) == 1 + _BOX_CELLS and all(map(_is_coordinate, labels[1:]))
    if box:
        del labels[1:]
    elif _is_bad_box(labels):
        raise SourceError(
            f"{where}: {len(labels) - 1} cells of numbers after {quoted(labels[0])}, but a "
            "bounding box has 8: x and y of four corners, from 0 to 1, or blank. Correct it."
        )
    for label in labels:
        if why := bad_name(label):
            raise SourceError(f"{where}: {quoted(label)} {why}")
    names = sorted({label for label in labels if label and label.strip("-").lower() != NONE})
    return ImportRow(line, path, split, tuple(names), box)


def split_and_rest(cells: list[str]) -> tuple[str | None, list[str]]:
    """The split of a row, None if it has no such cell, and the other cells."""
    first = cells[0].upper() if cells else ""
    if first in SPLITS:
        return SPLITS[first], cells[1:]
    if not first and len(cells) > 1:
        return "", cells[1:]
    return None, cells


def is_image_path(cell: str) -> bool:
    """Whether a cell is a path or a URL of an image."""
    return cell.lower().startswith("gs://") or format_of_name(cell) is not None


def _is_bad_box(labels: list[str]) -> bool:
    """Whether a label is followed by the numbers of a box, which are not classes."""
    first, *others = labels or [""]
    numbers = [cell for cell in others if cell]
    return len(numbers) >= _BOX_CELLS // 2 and not is_number(first) and all(map(is_number, numbers))


def _is_coordinate(cell: str) -> bool:
    try:
        return not cell or 0 <= float(cell) <= 1
    except ValueError:
        return False
