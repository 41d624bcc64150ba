"""Reads a folder of images with the labels of an import CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.paths import shown
from shards.sample import AnnotatedSet, Sample
from shards.sources.finder import Finder
from shards.sources.google_csv.rows import ImportRow, read_rows
from shards.sources.words import counted
from shards.split_names import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_GS: Final = "gs://"
_TRIED: Final = 100
"""URLs tried to find the folders that they have in common with the local files."""


def read_import_csv(root: Path, file: Path) -> AnnotatedSet:
    """Read the labels of a folder of images from Google's import CSV.

    All rows of an image are joined; bounding boxes become presence. A URL gs://BUCKET/a/b.jpg is
    the file BUCKET/a/b.jpg, a/b.jpg or b.jpg below `root`: the same number of folders is left out
    for all.

    Args:
        root: the folder of the images.
        file: the CSV.

    Returns:
        The set; `splits` are those of the first column. An image that is unassigned is in none. A
        missing image is rejected (MISSING).

    Raises:
        SourceError: as for `read_rows`; an image is in two splits; two URLs match one file; no
            path matches a file.
    """
    rows = list(read_rows(file))
    if not rows:
        raise SourceError(f"{file}: no rows. Write 'TRAIN,path,label' for each image.")
    finder = Finder(root, file)
    local = _local_paths(root, file, rows, finder)
    images = _Images(file)
    for row, path in zip(rows, local, strict=True):
        images.add(finder.find(path, f"line {row.line}"), row)
    images.refuse_shared()
    finder.check()
    missing = {bad.path: bad for bad in finder.rejected()}
    found = sorted(images.labels.keys() - missing.keys())
    splits = {name: [p for p in found if images.splits[p] == name] for name in SPLITS}
    return AnnotatedSet(
        root=root,
        samples=tuple(Sample(path, tuple(sorted(images.labels[path]))) for path in found),
        splits={name: frozenset(paths) for name, paths in splits.items() if paths},
        rejected=tuple(missing[path] for path in sorted(missing)),
        notes=(*images.notes(), *finder.notes()),
        places=images.places,
    )


class _Images:
    """The images of a CSV, each with the labels of all its rows.

    Attributes:
        labels: path -> class names.
        splits: path -> split, '' if unassigned.
        places: class name -> its first line.
    """

    def __init__(self, file: Path) -> None:
        self.labels: dict[str, set[str]] = {}
        self.splits: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self._file = file
        self._lines: dict[str, int] = {}
        self._urls: dict[str, dict[str, int]] = {}
        self._joined = self._repeated = self._boxes = 0

    def add(self, path: str, row: ImportRow) -> None:
        """Add a row.

        Raises:
            SourceError: the image is in another split on an earlier line.
        """
        split = row.split or ""
        self._boxes += row.box
        if path in self.labels:
            if self.splits[path] != split:
                raise SourceError(
                    f"{self._file}, line {row.line}: {shown(path)} is in split "
                    f"{split or 'UNASSIGNED'!r}, but on line {self._lines[path]} in "
                    f"{self.splits[path] or 'UNASSIGNED'!r}. Correct one."
                )
            new = set(row.labels) - self.labels[path]
            self._joined += bool(new)
            self._repeated += not new
        self._lines.setdefault(path, row.line)
        if row.path.lower().startswith(_GS):
            self._urls.setdefault(path, {}).setdefault(row.path, row.line)
        self.splits[path] = split
        self.labels.setdefault(path, set()).update(row.labels)
        for name in row.labels:
            self.places.setdefault(name, f"{self._file.name}, line {row.line}")

    def refuse_shared(self) -> None:
        """Refuse two URLs that are one file without their folders: they are different images.

        Raises:
            SourceError: with both URLs.
        """
        for path, urls in self._urls.items():
            if len(urls) > 1:
                (first, at), (other, line), *_ = urls.items()
                raise SourceError(
                    f"{self._file}, line {line}: {shown(other)} and {shown(first)} (line {at}) "
                    f"both match {shown(path)}. Keep the folders that tell them apart."
                )

    def notes(self) -> Iterator[str]:
        """A line per thing that was ignored or joined."""
        name = self._file.name
        if self._boxes:
            boxes = "1 bounding box" if self._boxes == 1 else f"{self._boxes} bounding boxes"
            yield f"{name}: {boxes} read as presence of the class"
        if self._joined:
            yield f"{name}: {counted(self._joined, 'row')} with more labels of an earlier image"
        if self._repeated:
            yield f"{name}: {counted(self._repeated, 'row')} with the labels of an earlier row"
        free = sum(not split for split in self.splits.values())
        if 0 < free < len(self.splits):
            yield (
                f"{name}: {counted(free, 'image')} UNASSIGNED: in no split of the set, so left "
                "out; `split='ratio'` takes all images"
            )


def _local_paths(root: Path, file: Path, rows: Sequence[ImportRow], finder: Finder) -> list[str]:
    """The paths of the rows, with gs:// URLs as paths relative to the root.

    Raises:
        SourceError: there are URLs, and none of the first ones is a file below the root.
    """
    urls = [row for row in rows if row.path.lower().startswith(_GS)]
    if not urls:
        return [row.path for row in rows]
    tried = [_parts(row.path) for row in urls[:_TRIED]]
    deepest = max(1, *map(len, tried))
    counts = {
        skip: sum(finder.has("/".join(parts[skip:])) for parts in tried) for skip in range(deepest)
    }
    skip = max(counts, key=lambda skip: (counts[skip], -skip))
    if not counts[skip]:
        first = urls[0]
        raise SourceError(
            f"{file}, line {first.line}: {shown(first.path)} is not below {root}, not even without "
            "its first folders. Download the images (gcloud storage cp -r), and give their folder "
            "as SRC and this file with `labels`."
        )
    return [
        "/".join(_parts(row.path)[skip:] or _parts(row.path)[-1:])
        if row.path.lower().startswith(_GS)
        else row.path
        for row in rows
    ]


def _parts(url: str) -> list[str]:
    return [part for part in url[len(_GS) :].split("/") if part]
