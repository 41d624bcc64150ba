"""Reads `_classes.csv`: a column 'filename', then a column of 1 and 0 per class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.paths import folder_of, shown
from shards.sample import AnnotatedSet, Sample
from shards.sources.finder import Finder
from shards.sources.folders import by_suffix
from shards.sources.table.cells import bad_name, quoted
from shards.sources.table.text import cells_of_any_size, load_table
from shards.sources.words import counted
from shards.split_names import known_split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shards.sources.source import Tree
    from shards.sources.table.text import TableText

NAME: Final = "_classes.csv"
_VALUES: Final = {"1": True, "0": False}


def read_classes_csv(tree: Tree, files: Sequence[Path]) -> AnnotatedSet:
    """Read one `_classes.csv`, or one per split folder.

    Args:
        tree: the folder.
        files: the tables; their file names are relative to their own folders, if these are below
            the root, else to the root.

    Returns:
        The set; `classes` are the columns of the first table, `splits` those that the tables'
        folders are named after, if all are. A missing image is rejected (MISSING).

    Raises:
        SourceError: a table is not Roboflow's, has a cell other than 1 and 0, contradictory rows,
            or other classes than the first; no file name matches a file.
    """
    parts = [_Part(tree.root, file) for file in files]
    classes = parts[0].classes
    for part in parts:
        if odd := set(part.classes) ^ set(classes):
            raise SourceError(
                f"{part.file}: other classes than {parts[0].file}: {min(odd)!r} is only in one of "
                "them. Export the splits together."
            )
        part.read()
    missing = {bad.path: bad for part in parts for bad in part.finder.rejected()}
    labels = _joined(parts)
    named = all(part.split for part in parts)
    splits: dict[str, frozenset[str]] = {}
    for part in parts:
        if named and part.split:
            there = frozenset(part.labels) - missing.keys()
            splits[part.split] = splits.get(part.split, frozenset()) | there
    return AnnotatedSet(
        root=tree.root,
        samples=tuple(Sample(path, labels[path]) for path in sorted(labels.keys() - missing)),
        splits=splits,
        rejected=tuple(missing[path] for path in sorted(missing)),
        classes=classes,
        notes=tuple(_notes(tree, parts, frozenset(labels), in_splits=named)),
    )


def _joined(parts: Sequence[_Part]) -> dict[str, tuple[str, ...]]:
    """The labels of all tables.

    Raises:
        SourceError: two tables have different labels for one image.
    """
    labels: dict[str, tuple[str, ...]] = {}
    for part in parts:
        for path, names in part.labels.items():
            if labels.setdefault(path, names) != names:
                first = next(one.file for one in parts if path in one.labels)
                raise SourceError(
                    f"{part.file}: {shown(path)} has other labels than in {first}. Keep one row."
                )
    return labels


class _Part:
    """The contents of one table.

    Attributes:
        file: the table.
        classes: its columns, in order.
        split: the split that its folder is named after, or None.
        labels: path of an image -> its classes, sorted; includes missing images.
        finder: finds its images and records those not found.
        repeated: number of rows that repeat an earlier one.
    """

    def __init__(self, root: Path, file: Path) -> None:
        self.file = file
        self._base = folder_of(file, root)
        self.split = known_split(self._base.rpartition("/")[2])
        name = f"{self._base}/{file.name}" if self._base else file.name
        self.finder = Finder(root, file, label=name)
        with cells_of_any_size():
            self._text = load_table(file, lambda names: names[0].lower() == "filename")
        self.classes = _classes(self._text)
        self.labels: dict[str, tuple[str, ...]] = {}
        self.repeated = 0

    def read(self) -> None:
        """Read the rows.

        Raises:
            SourceError: a cell is neither 1 nor 0, rows contradict each other, or no file name
                matches a file.
        """
        lines: dict[str, int] = {}
        with cells_of_any_size():
            for row in self._text.rows():
                path = self.finder.find(row.cells[0], f"line {row.line}", base=self._base)
                values = [self._value(cell, row.line, at) for at, cell in enumerate(row.cells)][1:]
                names = sorted(n for n, one in zip(self.classes, values, strict=True) if one)
                first = lines.setdefault(path, row.line)
                if self.labels.setdefault(path, tuple(names)) != tuple(names):
                    raise SourceError(
                        f"{self.file}, line {row.line}: {shown(path)} has other labels than on "
                        f"line {first}. Keep one row."
                    )
                self.repeated += first != row.line
        if not lines:
            raise SourceError(f"{self.file}: a header but no rows. Export the set again.")
        self.finder.check()

    def _value(self, cell: str, line: int, at: int) -> bool:
        if at == 0:
            return False
        value = _VALUES.get(cell.strip())
        if value is None:
            raise SourceError(
                f"{self.file}, line {line}, column {self.classes[at - 1]!r}: {quoted(cell)} is "
                "neither 1 nor 0. Correct it; a table of another kind is read with `labels`."
            )
        return value

    def notes(self) -> Iterator[str]:
        """A line per irregularity."""
        yield from self._text.notes
        if self.repeated:
            again = counted(self.repeated, "row")
            yield f"{self.file.name}: {again} with the labels of an earlier row"
        yield from self.finder.notes()


def _classes(text: TableText) -> tuple[str, ...]:
    first, *names = text.header.cells
    where = f"{text.file}, line {text.header.line}"
    if first.lower() != "filename" or not names:
        raise SourceError(
            f"{where}: not Roboflow's _classes.csv, which begins with 'filename' and the classes. "
            "Give another table with `labels`."
        )
    for at, name in enumerate(names, 2):
        if not name:
            raise SourceError(f"{where}: column {at} has no name. Name it after its class.")
        if why := bad_name(name):
            raise SourceError(f"{where}, column {at}: {quoted(name)} {why}")
        if names.count(name) > 1:
            raise SourceError(f"{where}: two columns {quoted(name)}. Keep one.")
    return tuple(names)


def _notes(
    tree: Tree, parts: Sequence[_Part], named: frozenset[str], *, in_splits: bool
) -> Iterator[str]:
    for part in parts:
        yield from part.notes()
    if len(parts) > 1 and not in_splits:
        odd = next(part.file.parent.name for part in parts if not part.split)
        yield f"no splits of its own: {shown(odd)}/ is not named like a split"
    others = [name for name in tree.images if name not in named]
    if others:
        yield (
            f"ignored, not named in {NAME}: {counted(len(others), 'image')}; first: "
            f"{shown(others[0])}"
        )
    rest = [name for name in tree.others if not name.endswith(NAME)]
    if rest:
        yield f"ignored: {by_suffix(rest)}; first: {shown(rest[0])}"
