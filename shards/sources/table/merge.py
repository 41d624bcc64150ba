"""Merges the rows of each image in a table, or refuses contradictory rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shards.errors import SourceError
from shards.paths import shown
from shards.sample import Sample
from shards.sources.table.header import SPLIT_NAMES
from shards.sources.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Entry(NamedTuple):
    """The contents of a table for one image.

    Attributes:
        line: the line of its first row.
        present: classes, sorted.
        difficult: classes with only 'difficult' instances, sorted.
        absent: classes explicitly marked as absent by a row, sorted.
        split: as written, in lower case; '' for none.
    """

    line: int
    present: tuple[str, ...]
    difficult: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    split: str = ""

    @property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """Present, difficult and absent classes."""
        return self.present, self.difficult, self.absent


class Entries:
    """The images of one table.

    Args:
        file: the table, for messages.
        one_a_row: whether each row has at most one label, so that the rows of an image are merged
            into its labels; otherwise they must be equal.
    """

    def __init__(self, file: Path, *, one_a_row: bool) -> None:
        self._file = file
        self._one_a_row = one_a_row
        self._entries: dict[str, Entry] = {}
        self._rows = 0
        self._repeated = 0

    def add(self, path: str, entry: Entry) -> None:
        """Add a row.

        Raises:
            SourceError: it contradicts an earlier row; names both lines.
        """
        self._rows += 1
        before = self._entries.get(path)
        if before is None:
            self._entries[path] = entry
            return
        where = f"{self._file}, line {entry.line}: {shown(path)}"
        if SPLIT_NAMES.get(before.split) != SPLIT_NAMES.get(entry.split):
            raise SourceError(
                f"{where} is in split {entry.split!r}, but on line {before.line} in "
                f"{before.split!r}. Correct one."
            )
        if before.labels == entry.labels:
            self._repeated += 1
        elif self._one_a_row:
            self._entries[path] = self._joined(before, entry, where)
        else:
            raise SourceError(
                f"{where} has other labels than on line {before.line}: {_names(entry)}, but "
                f"{_names(before)}. Keep one row."
            )

    def _joined(self, one: Entry, other: Entry, where: str) -> Entry:
        """Merge the labels of two rows of one image."""
        if any(one.labels) != any(other.labels):
            raise SourceError(
                f"{where} has {_names(other)}, but on line {one.line} {_names(one)}. Remove the "
                "row without a label, or the others."
            )
        present = {*one.present, *other.present}
        absent = {*one.absent, *other.absent}
        if both := present & absent:
            raise SourceError(
                f"{where} has {min(both)!r} both as present and as absent; line {one.line} is its "
                "first row. Keep one of them."
            )
        return one._replace(present=tuple(sorted(present)), absent=tuple(sorted(absent)))

    def samples(self) -> Iterator[Sample]:
        """One sample per image."""
        for path, entry in self._entries.items():
            yield Sample(path, entry.present, entry.difficult)

    def splits(self) -> dict[str, set[str]]:
        """The paths of each split that is not empty, in the order train, val, test."""
        found: dict[str, set[str]] = {name: set() for name in SPLIT_NAMES.values()}
        for path, entry in self._entries.items():
            if entry.split:
                found[SPLIT_NAMES[entry.split]].add(path)
        return {name: paths for name, paths in found.items() if paths}

    def notes(self) -> Iterator[str]:
        """Lines on merged, repeated and absent labels."""
        name, images = self._file.name, len(self._entries)
        if self._one_a_row and self._rows > images:
            joined = f"{self._rows} rows are merged into {counted(images, 'image')}"
            yield f"{name}: one label per row; {joined}"
        elif self._repeated:
            yield f"{name}: {counted(self._repeated, 'row')} with the labels of an earlier row"
        if absent := sum(len(entry.absent) for entry in self._entries.values()):
            yield f"{name}: {counted(absent, 'label')} marked as absent (0): ignored"


def _names(entry: Entry) -> str:
    names = [*entry.present, *entry.difficult, *(f"no {name}" for name in entry.absent)]
    return ", ".join(names) or "no labels"
