"""Reads an image folder with metadata: `metadata.csv`, `.jsonl` or `.parquet`.

Source: https://huggingface.co/docs/datasets/image_dataset, 'ImageFolder'.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from shards.errors import Fault, Reason, SourceError
from shards.paths import folder_of, shown
from shards.sample import AnnotatedSet, Rejection, Sample
from shards.sources.finder import Finder
from shards.sources.hugging_face.labels import read_labels
from shards.sources.hugging_face.parquet import read_parquet
from shards.sources.hugging_face.rows import Rows
from shards.sources.table.text import cells_of_any_size, load_table
from shards.sources.whole_file import read_whole
from shards.sources.words import counted
from shards.split_names import SPLITS, known_split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shards.sources.source import Request, Tree

NAMES: Final = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_FILE_NAME: Final = "file_name"


def read_metadata(tree: Tree, files: Sequence[Path], request: Request) -> AnnotatedSet:
    """Read images with the labels of their metadata.

    Args:
        tree: the folder.
        files: the files of metadata, of one format; 'file_name' is relative to the folder of
            each, if that is below the root.
        request: columns and separator.

    Returns:
        The set; `splits` are the folders named like splits. A missing image is rejected
        (MISSING), one without a label (null, -1) as well (NOT_ANNOTATED).

    Raises:
        SourceError: a file cannot be read or has no 'file_name', two rows of an image have
            different labels, no name matches a file, or as for `read_labels`.
    """
    tables = [_read(file) for file in files]
    labels = read_labels(
        [rows for rows, _ in tables], columns=request.columns, separator=request.separator
    )
    images = _Images(tree.root)
    for (rows, names), found in zip(tables, labels.rows, strict=True):
        images.add(rows, names, found)
    missing = {bad.path: bad for finder in images.finders for bad in finder.rejected()}
    unlabeled = {
        path: Rejection(path, Fault(Reason.NOT_ANNOTATED, f"{images.places[path]} has no label"))
        for path, present in images.labels.items()
        if present is None and path not in missing
    }
    rejected = {**missing, **unlabeled}
    samples = [
        Sample(path, present)
        for path, present in sorted(images.labels.items())
        if present is not None and path not in missing
    ]
    splits, told = _splits([sample.path for sample in samples])
    return AnnotatedSet(
        root=tree.root,
        samples=tuple(samples),
        splits=splits,
        rejected=tuple(rejected[path] for path in sorted(rejected)),
        classes=labels.classes,
        notes=(*labels.notes, *images.notes(tree), *told),
    )


class _Images:
    """The images that metadata names.

    Attributes:
        labels: path -> class names, None if not labeled; includes missing images.
        places: path -> the location of its first row.
        finders: one for each file.
    """

    def __init__(self, root: Path) -> None:
        self.labels: dict[str, tuple[str, ...] | None] = {}
        self.places: dict[str, str] = {}
        self.finders: list[Finder] = []
        self._root = root
        self._repeated = 0

    def add(
        self, rows: Rows, names: Sequence[str], labels: Sequence[tuple[str, ...] | None]
    ) -> None:
        """Add the rows of a file.

        Raises:
            SourceError: an image has other labels on an earlier row, or no name matches a file.
        """
        base = folder_of(rows.file, self._root)
        label = f"{base}/{rows.file.name}" if base else rows.file.name
        finder = Finder(self._root, rows.file, label=label)
        self.finders.append(finder)
        for row, (name, present) in enumerate(zip(names, labels, strict=True)):
            path = finder.find(name, rows.where[row], base=base)
            if path in self.labels:
                self._repeated += 1
                if self.labels[path] != present:
                    raise SourceError(
                        f"{rows.place(row)}: {shown(path)} has other labels than in "
                        f"{self.places[path]}. Keep one row."
                    )
            self.labels[path] = present
            self.places.setdefault(path, f"{label}, {rows.where[row]}")
        finder.check()

    def notes(self, tree: Tree) -> Iterator[str]:
        """A line per irregularity, and one on images without metadata."""
        for finder in self.finders:
            yield from finder.notes()
        if self._repeated:
            yield f"metadata: {counted(self._repeated, 'row')} with the labels of an earlier row"
        others = [name for name in tree.images if name not in self.labels]
        if others:
            yield (
                f"ignored, not named in the metadata: {counted(len(others), 'image')}; first: "
                f"{shown(others[0])}"
            )


def _read(file: Path) -> tuple[Rows, list[str]]:
    """The columns of a file of metadata but 'file_name', and that one."""
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        rows = read_parquet(file).rows
    elif suffix in (".jsonl", ".ndjson"):
        rows = _read_jsonl(file)
    else:
        rows = _read_csv(file)
    columns = dict(rows.columns)
    names = columns.pop(_FILE_NAME, None)
    if names is None:
        several = [name for name in columns if name.endswith(("_file_name", "file_names"))]
        why = f", but {several[0]!r}: several images per row" if several else ""
        raise SourceError(
            f"{file}: no column '{_FILE_NAME}'{why}. Name the image of each row in '{_FILE_NAME}'; "
            "another table is read with `from_='table', labels='FILE.csv'`."
        )
    for row, name in enumerate(names):
        if not isinstance(name, str):
            raise SourceError(f"{rows.place(row)}: '{_FILE_NAME}' is {name!r}, not text.")
    if not names:
        raise SourceError(f"{file}: has no rows. Write one for each image.")
    return Rows(file, columns, rows.where, rows.names, text=rows.text), list(names)


def _read_csv(file: Path) -> Rows:
    with cells_of_any_size():
        text = load_table(file, lambda names: _FILE_NAME in names)
        header = text.header.cells
        if double := next((name for name in header if name and header.count(name) > 1), None):
            raise SourceError(f"{file}: two columns {double!r} in the header. Keep one.")
        rows = list(text.rows())
    columns = {name: [row.cells[at] for row in rows] for at, name in enumerate(header) if name}
    return Rows(file, columns, [f"line {row.line}" for row in rows], text=True)


def _read_jsonl(file: Path) -> Rows:
    data = read_whole(file)
    found: list[dict[str, Any]] = []
    where: list[str] = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            found.append(_object(line, f"{file}, line {number}"))
            where.append(f"line {number}")
    names = list(dict.fromkeys(name for one in found for name in one))
    columns: dict[str, list[Any]] = {name: [one.get(name) for one in found] for name in names}
    for name in names:
        columns |= _fields(name, columns[name])
    return Rows(file, columns, where)


def _fields(column: str, values: Sequence[Any]) -> dict[str, list[Any]]:
    """The lists in a column of objects as columns: 'objects.categories'."""
    objects = [value for value in values if isinstance(value, dict)]
    keys = dict.fromkeys(key for one in objects for key in one)
    return {
        f"{column}.{key}": [one.get(key) if isinstance(one, dict) else None for one in values]
        for key in keys
        if all(isinstance(one.get(key, []), list) for one in objects)
    }


def _object(line: bytes, place: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{place}: not JSON: {error}. Write one object per line.") from error
    if not isinstance(value, dict):
        raise SourceError(f"{place}: not a JSON object. Write one per line.")
    return value


def _splits(paths: Sequence[str]) -> tuple[dict[str, frozenset[str]], list[str]]:
    """The splits that folders of the images are named after, if all images are in such folders."""
    found: dict[str | None, list[str]] = {}
    for path in paths:
        words = path.split("/")[:-1]
        split = next((split for word in words if (split := known_split(word))), None)
        found.setdefault(split, []).append(path)
    outside = found.pop(None, [])
    if not outside or not found:
        return {name: frozenset(found[name]) for name in SPLITS if name in found}, []
    return {}, [
        (
            f"no splits of its own: {counted(len(outside), 'image')} in no split folder, such as "
            f"{shown(outside[0])}"
        )
    ]
