"""Reads a folder of images with labels in a CSV table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.errors import SourceError
from shards.sample import AnnotatedSet
from shards.sources.finder import Finder
from shards.sources.table.cells import truth
from shards.sources.table.columns import survey
from shards.sources.table.header import RoleFinder, is_header
from shards.sources.table.labels import LabelCells
from shards.sources.table.merge import Entries, Entry
from shards.sources.table.text import cells_of_any_size, load_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shards.sources.table.columns import Column
    from shards.sources.table.header import Roles
    from shards.sources.table.text import Row, TableText

_NAMED = 20
"""Maximum number of columns named in a note."""


def read_table(root: Path, file: Path, *, label_separator: str | None = None) -> AnnotatedSet:
    r"""Read the labels of a plain folder of images from a table.

    Two kinds: a column of class names ('labels'), several per cell or one in each row of an
    image; or one column of truth values per class: 1 present, 0 or blank absent, -1 only
    'difficult' instances. Columns are recognized by name and cells, in any order; unrecognized
    columns are ignored, with a note. `docs/packing.md` has the rules. Images in the folder that
    the table does not name are ignored.

    Args:
        root: the folder that paths are relative to.
        file: CSV with ',', ';', tabs or '|', as UTF-8 or as UTF-16 with a byte order mark. Paths
            in any form that `NamedFiles.find` accepts.
        label_separator: the separator between the names in a cell; None detects it, and refuses
            an ambiguous table.

    Returns:
        The set; `classes` are the columns, in order, for the second kind, else None; `splits` are
        those of a column 'split'. A missing image is rejected (MISSING).

    Raises:
        SourceError: it is not such a table, a cell is invalid, rows contradict each other, no
            path matches a file, or the meaning is ambiguous. Names line and column.
    """
    with cells_of_any_size():
        text = load_table(file, is_header)
        columns, rows = survey(text)
        if not rows:
            raise SourceError(f"{file}: a header but no rows. Write a row for each image.")
        finder = Finder(root, file)
        roles = RoleFinder(text, columns, is_image=finder.has).find(
            names_in_cells=label_separator is not None
        )
        reader = _Reader(text, roles, finder, label_separator)
        return reader.read(root)


class _Reader:
    """Reads the rows of a table whose columns are known."""

    def __init__(
        self, text: TableText, roles: Roles, finder: Finder, separator: str | None
    ) -> None:
        self._text = text
        self._roles = roles
        self._finder = finder
        self._classes = [(column.at, column.name) for column in roles.classes]
        self._labels: LabelCells | None = None
        if roles.labels is not None:
            self._labels = LabelCells(
                text, roles.labels, roles.path, several=roles.promises_several, separator=separator
            )
            if both := [c for c in roles.classes if c.name in self._labels.names]:
                raise SourceError(
                    f"{text.file}, line {text.header.line}: labels are in {roles.labels.label} "
                    f"and in {_names(both)}. Remove one or the other."
                )
        elif separator is not None:
            raise SourceError(
                f"{text.file}: `label_separator` is for a column 'labels', but this table has one "
                "column per class. Omit the option."
            )

    def read(self, root: Path) -> AnnotatedSet:
        single = self._labels is not None and self._labels.single
        entries = Entries(self._text.file, one_a_row=single)
        for row in self._text.rows():
            path = self._finder.find(row.cells[self._roles.path.at], f"line {row.line}")
            entries.add(path, self._entry(row))
        self._finder.check()
        missing = tuple(self._finder.rejected())
        gone = {rejection.path for rejection in missing}
        splits = {name: frozenset(paths - gone) for name, paths in entries.splits().items()}
        samples = [sample for sample in entries.samples() if sample.path not in gone]
        return AnnotatedSet(
            root=root,
            samples=tuple(sorted(samples, key=lambda sample: sample.path)),
            splits=splits,
            rejected=tuple(sorted(missing, key=lambda rejection: rejection.path)),
            classes=None if self._labels else tuple(c.name for c in self._roles.classes),
            notes=(*self._text.notes, *self._notes(), *entries.notes(), *self._finder.notes()),
        )

    def _entry(self, row: Row) -> Entry:
        """The contents of one row."""
        cells, roles = row.cells, self._roles
        split = cells[roles.split.at].strip().casefold() if roles.split else ""
        if self._labels and roles.labels:
            names = self._labels.read(cells[roles.labels.at])
            if all(truth(cells[column.at]) for column in roles.strengths):
                return Entry(row.line, names, split=split)
            return Entry(row.line, (), absent=names, split=split)
        values = {name: value for at, name in self._classes if (value := truth(cells[at]))}
        present = sorted(name for name, value in values.items() if value > 0)
        difficult = sorted(name for name, value in values.items() if value < 0)
        return Entry(row.line, tuple(present), tuple(difficult), split=split)

    def _notes(self) -> Iterator[str]:
        """The roles of the columns, if the header differs from the documented one."""
        roles, name = self._roles, self._text.file.name
        aside = [*roles.ignored, *(roles.classes if roles.labels else ())]
        if roles.labels:
            plain = (roles.path.name, roles.labels.name) == ("path", "labels")
            used = f"paths are in {roles.path.label}, labels in {roles.labels.label}"
        else:
            plain = roles.path.name == "path"
            used = f"paths are in {roles.path.label}, classes are {_names(roles.classes)}"
        if aside:
            ignored = sorted(aside, key=lambda column: column.at)
            yield f"{name}: {used}; ignored: {_names(ignored)}"
        elif not plain:
            yield f"{name}: {used}"
        flags = [column for column in aside if column.is_truths and not column.is_empty]
        if not roles.labels and flags:
            yield f"{name}: rename a column to use it as a class: {_names(flags)}"
        if empty := [column for column in roles.classes if column.is_empty and not roles.labels]:
            yield f"{name}: every cell is blank, so 0, in {_names(empty)}"
        if self._labels:
            yield from self._labels.notes()


def _names(columns: Sequence[Column]) -> str:
    """The names of columns, at most `_NAMED` of them."""
    named = ", ".join(column.label for column in columns[:_NAMED])
    more = len(columns) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
