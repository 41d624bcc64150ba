"""Collects the labels and splits of images that a list names, and makes a set of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.sample import AnnotatedSet, Sample
from shards.split_names import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from shards.sources.finder import Finder


class Gathered:
    """Labels and splits by path; the entries of one image are merged.

    Attributes:
        again: images named more than once.
        differing: those of them whose entries have different labels.
    """

    def __init__(self) -> None:
        self.again: set[str] = set()
        self.differing: set[str] = set()
        self._labels: dict[str, set[str]] = {}
        self._splits: dict[str, set[str]] = {}

    def add(self, path: str, names: Iterable[str], *, split: str | None = None) -> None:
        """Add an entry.

        Args:
            path: in the form of `Sample.path`.
            names: the classes that are present.
            split: one of `SPLITS`, or None.
        """
        found = set(names)
        if path in self._labels:
            self.again.add(path)
            if self._labels[path] != found:
                self.differing.add(path)
        self._labels.setdefault(path, set()).update(found)
        if split is not None:
            self._splits.setdefault(split, set()).add(path)

    def annotated(
        self,
        root: Path,
        finder: Finder,
        *,
        classes: tuple[str, ...] | None = None,
        notes: Iterable[str] = (),
    ) -> AnnotatedSet:
        """The set; images that the finder did not find are rejected.

        Raises:
            SourceError: as for `Finder.check`.
        """
        finder.check()
        rejected = {bad.path: bad for bad in finder.rejected()}
        return AnnotatedSet(
            root=root,
            samples=tuple(
                Sample(path, tuple(sorted(self._labels[path])))
                for path in sorted(self._labels.keys() - rejected.keys())
            ),
            splits={
                name: frozenset(self._splits[name] - rejected.keys())
                for name in SPLITS
                if self._splits.get(name)
            },
            rejected=tuple(rejected[path] for path in sorted(rejected)),
            classes=classes,
            notes=(*notes, *finder.notes()),
        )
