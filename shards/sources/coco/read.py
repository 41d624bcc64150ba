"""Reads a folder of images with labels as COCO instances, in one file or one per split."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from shards.errors import SourceError
from shards.paths import folder_of, shown
from shards.sample import AnnotatedSet, Sample
from shards.sources.coco.file import read_instances
from shards.sources.coco.splits import name_splits
from shards.sources.finder import Finder
from shards.sources.missing_hint import folders_below
from shards.sources.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from shards.sources.coco.file import Id, Instances
    from shards.sources.coco.splits import CocoFile

_TRIED = 100
"""Images per file tried to find the folder that its names are relative to."""
_FEW = 3
"""Images searched for in every folder below the root."""


def read_coco(root: Path, files: Sequence[CocoFile]) -> AnnotatedSet:
    """Read the labels of a plain folder of images from COCO files.

    A category is present in an image that has an annotation of it, including crowds (`iscrowd`),
    whose instances are present but not separated. An image without annotations is a sample
    without labels. Images in the folder that no file names are ignored. See `docs/packing.md`.

    Args:
        root: the folder that `file_name` is relative to; it may also be relative to the file's
            own folder, if that is inside `root`, and each of several files may use its own
            folder below `root`.
        files: one file, or one per split. Each is read into memory whole.

    Returns:
        The set; `classes` are the categories in the order of the first file, `splits` those of
        the files that have one. A missing image is rejected (MISSING).

    Raises:
        SourceError: as for `read_instances` and `name_splits`; a category name that is repeated
            or not in every file; a path that leads out of `root`; no path matches a file.
    """
    named = name_splits(files)
    contents = [read_instances(one.file) for one in named]
    heads = set.intersection(*({one.name for one in c.heads()} for c in contents))
    tables = [_names_by_id(content, heads) for content in contents]
    classes = _agreed(contents, tables)
    parts = [
        _Part(root, one.split, content, names, alone=len(named) == 1)
        for one, content, names in zip(named, contents, tables, strict=True)
    ]
    labels: dict[str, set[str]] = {}
    for part in parts:
        part.collect(labels)
    rejected = {bad.path: bad for part in parts for bad in part.finder.rejected()}
    found = sorted(labels.keys() - rejected.keys())
    return AnnotatedSet(
        root=root,
        samples=tuple(Sample(path, tuple(sorted(labels[path]))) for path in found),
        splits={p.split: frozenset(p.paths - rejected.keys()) for p in parts if p.split},
        rejected=tuple(rejected[path] for path in sorted(rejected)),
        classes=classes,
        notes=tuple(_notes(heads, parts)),
    )


def _names_by_id(content: Instances, heads: set[str]) -> dict[Id, str]:
    """The classes of one file.

    Raises:
        SourceError: two categories have the same name.
    """
    headings = {one.id for one in content.heads() if one.name in heads}
    names: dict[Id, str] = {}
    first: dict[str, Id] = {}
    for one in content.categories:
        if one.id in headings:
            continue
        if one.name in first:
            raise SourceError(
                f"{content.file}: categories: ids {first[one.name]!r} and {one.id!r} have the "
                f"same name {one.name!r}. Rename one, or keep one."
            )
        names[one.id] = one.name
        first[one.name] = one.id
    return names


def _agreed(contents: Sequence[Instances], tables: Sequence[Mapping[Id, str]]) -> tuple[str, ...]:
    """The classes, which must be the same in every file, in the order of the first file.

    Raises:
        SourceError: a file has different classes.
    """
    classes = tuple(tables[0].values())
    for content, table in zip(contents, tables, strict=True):
        if odd := set(table.values()) ^ set(classes):
            name = min(odd)
            lacks, has = (contents[0].file, content.file)
            if name in classes:
                lacks, has = has, lacks
            raise SourceError(
                f"{lacks}: no category {name!r}, which {has} has ({len(odd)} differ). Give files "
                "with the same categories."
            )
    return classes


class _Part:
    """The contents of one file about the images below the root.

    Attributes:
        split: as in `CocoFile`.
        paths: its images, relative to the root, including missing ones.
        finder: finds its images and records those not found.
    """

    def __init__(
        self,
        root: Path,
        split: str | None,
        content: Instances,
        names: Mapping[Id, str],
        *,
        alone: bool,
    ) -> None:
        file = content.file
        self.split = split
        self.paths: set[str] = set()
        self._label = file.name if alone else f"{file.absolute().parent.name}/{file.name}"
        self.finder = Finder(root, file, label=self._label)
        self._content = content
        self._names = names
        self._base = _base(root, content, split, self.finder, alone=alone)
        self._again = self._differing = 0

    def collect(self, labels: dict[str, set[str]]) -> None:
        """Add the labels of this file's images.

        Raises:
            SourceError: a path leads out of the root, or none matches a file.
        """
        own: dict[str, set[str]] = {}
        for image in self._content.images:
            path = self.finder.find(image.name, image.where, base=self._base)
            names = {self._names[one] for one in self._content.present.get(image.id, ())}
            if path in own:
                self._again += 1
                self._differing += own[path] != names
            own.setdefault(path, set()).update(names)
        self.finder.check()
        self.paths = set(own)
        for path, names in own.items():
            labels.setdefault(path, set()).update(names)

    def notes(self) -> Iterator[str]:
        """A line per irregularity."""
        content = self._content
        if self._base:
            yield f"{self._label}: paths are relative to {self._base}/"
        if content.repeated:
            again = counted(content.repeated, "annotation")
            yield f"{self._label}: {again} with the id of an earlier one"
        if content.images and not content.present:
            yield f"{self._label}: no annotations, so none of its images has a label"
        if self._again:
            yield (
                f"{self._label}: {counted(self._again, 'image')} with the file_name of an earlier "
                f"one, {self._differing} with different labels: merged"
            )
        yield from self.finder.notes()


def _base(root: Path, content: Instances, split: str | None, finder: Finder, *, alone: bool) -> str:
    """The folder below the root that a file's names are relative to; '' for the root."""
    names = [image.name for image in content.images[:_TRIED]]
    own = folder_of(content.file, root)
    best = max(("", own), key=lambda base: _count(finder, names, base))
    if alone or _count(finder, names, best):
        return best
    few = names[:_FEW]
    bases = [base for base in folders_below(root) if _count(finder, few, base) == len(few)]
    if len(bases) > 1:
        bases = [base for base in bases if split and split in base.rpartition("/")[2]]
    return bases[0] if len(bases) == 1 else ""


def _count(finder: Finder, names: Sequence[str], base: str) -> int:
    return sum(finder.has(name, base=base) for name in names)


def _notes(heads: set[str], parts: Sequence[_Part]) -> Iterator[str]:
    for name in sorted(heads):
        yield f"category {name!r} only groups the others (supercategory 'none'): ignored"
    for part in parts:
        yield from part.notes()
    counts = Counter(path for part in parts for path in part.paths)
    if shared := [path for path, count in counts.items() if count > 1]:
        yield f"{counted(len(shared), 'image')} in several files, such as {shown(min(shared))}"
