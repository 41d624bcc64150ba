"""Reads a set whose images are inside of Parquet files."""

from __future__ import annotations

import posixpath
import re
from itertools import chain
from typing import TYPE_CHECKING, Final

from shards.errors import Fault, Reason, SourceError
from shards.paths import first_names, shown
from shards.sample import AnnotatedSet, Rejection, Sample
from shards.sources.hugging_face.labels import read_labels
from shards.sources.hugging_face.parquet import read_parquet
from shards.sources.hugging_face.store import ParquetStore
from shards.split_names import SPLITS, known_split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shards.sources.hugging_face.parquet import ParquetRows
    from shards.sources.source import Request, Tree

_NUMBERED: Final = re.compile(r"(.*)-(\d{5})-of-(\d{5})(.*)\.parquet", re.IGNORECASE)
_WORDS: Final = re.compile(r"[-_.]")


def read_images_inside(tree: Tree, names: Sequence[str], request: Request) -> AnnotatedSet:
    """Read the labels of Parquet files with the images inside.

    Args:
        tree: the folder.
        names: the files, relative to it, sorted.
        request: columns and separator.

    Returns:
        The set, with a store for its images. Paths are those of the images, if these differ from
        each other; else the files' names with the rows. `splits` are those in the names of the
        files or folders, if all have one. An image without a label (null, -1) is rejected
        (NOT_ANNOTATED).

    Raises:
        SourceError: a file cannot be read or is missing of a numbered series, files have
            different columns, or as for `read_labels`.
    """
    _refuse_gaps(tree, names)
    files = [read_parquet(tree.root / name) for name in names]
    column = _column(files)
    labels = read_labels(
        [one.rows for one in files], columns=request.columns, separator=request.separator
    )
    paths, told = _paths(names, files)
    samples: list[Sample] = []
    rejected: list[Rejection] = []
    places: dict[str, tuple[int, int]] = {}
    for at, (found, rows) in enumerate(zip(paths, labels.rows, strict=True)):
        for row, (path, present) in enumerate(zip(found, rows, strict=True)):
            if present is None:
                why = f"{files[at].rows.file.name}, row {row} has no label"
                rejected.append(Rejection(path, Fault(Reason.NOT_ANNOTATED, why)))
            else:
                samples.append(Sample(path, present))
                places[path] = (at, row)
    splits, said = _splits(names, paths, places)
    unread = [f"other columns: {first_names(files[0].unread)}: ignored"] if files[0].unread else []
    sizes = [(one.rows.file, one.row_groups) for one in files]
    return AnnotatedSet(
        root=tree.root,
        samples=tuple(sorted(samples, key=lambda sample: sample.path)),
        splits=splits,
        rejected=tuple(sorted(rejected, key=lambda bad: bad.path)),
        classes=labels.classes,
        notes=(*labels.notes, *unread, *told, *said),
        store=ParquetStore(sizes, column, places),
    )


def _refuse_gaps(tree: Tree, names: Sequence[str]) -> None:
    """Refuse train-00000-of-00002.parquet without train-00001-of-00002.parquet."""
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match is None:
            continue
        begin, _, total, end = match.groups()
        for number in range(int(total)):
            wanted = f"{begin}-{number:05d}-of-{total}{end}.parquet"
            if wanted not in names:
                raise SourceError(
                    f"{tree.root / wanted}: is missing; {shown(name)} is one of {int(total)} "
                    "files. Download it."
                )


def _column(files: Sequence[ParquetRows]) -> str:
    for one in files:
        if one.image is None or one.image != files[0].image:
            raise SourceError(
                f"{one.rows.file}: no column of images (a struct of 'bytes' and 'path')"
                + (f" {files[0].image!r}" if files[0].image else "")
                + ". Move the file away, or export it again."
            )
    return str(files[0].image)


def _paths(names: Sequence[str], files: Sequence[ParquetRows]) -> tuple[list[list[str]], list[str]]:
    """A path for each row of each file, all different; and a note if these are made."""
    own = [[_plain(path) for path in one.paths] for one in files]
    stems = [name.rpartition(".")[0] for name in names]
    below = [
        [path and f"{stem}/{path}" for path in found]
        for stem, found in zip(stems, own, strict=True)
    ]
    for tried, note in ((own, []), (below, ["image paths begin with the name of their file"])):
        known = [path for path in chain.from_iterable(tried) if path is not None]
        if len(known) == sum(map(len, tried)) == len(set(known)):
            return [[str(path) for path in found] for found in tried], note
    made = [
        [f"{stem}/{row:08d}" for row in range(len(found))]
        for stem, found in zip(stems, own, strict=True)
    ]
    first = next((found[0] for found in made if found), "")
    return made, [f"images have no paths, or equal ones: named by their rows, such as {first}"]


def _plain(path: str | None) -> str | None:
    """A path as it is, if it is relative and leads nowhere else; else its last part."""
    if not path:
        return None
    if (
        not path.startswith("/")
        and ".." not in path.split("/")
        and posixpath.normpath(path) == path
    ):
        return path
    return posixpath.basename(posixpath.normpath(path)) or None


def _splits(
    names: Sequence[str], paths: Sequence[Sequence[str]], used: dict[str, tuple[int, int]]
) -> tuple[dict[str, frozenset[str]], list[str]]:
    """The splits in the names of the files, if all have one."""
    named = [_split_of(name) for name in names]
    odd = [name for name, split in zip(names, named, strict=True) if split is None]
    if odd:
        told = (
            []
            if len(odd) == len(names)
            else [f"no splits of its own: the name of {shown(odd[0])} has none"]
        )
        return {}, told
    found: dict[str, frozenset[str]] = {
        split: frozenset(
            path
            for one, part in zip(named, paths, strict=True)
            if one == split
            for path in part
            if path in used
        )
        for split in SPLITS
        if split in named
    }
    empty = [split for split, part in found.items() if not part]
    kept = {split: part for split, part in found.items() if part}
    return kept, [f"no labeled image in split {split}" for split in empty]


def _split_of(name: str) -> str | None:
    *folders, last = name.split("/")
    words = [_WORDS.split(last)[0], *reversed(folders)]
    return next((split for word in words if (split := known_split(word))), None)
