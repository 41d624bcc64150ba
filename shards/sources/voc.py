"""PASCAL VOC: JPEGImages/, Annotations/ and ImageSets/Main/ to Samples.

Source of the layout: the development kit of VOC2012, section 'Data'.
"""

from __future__ import annotations

import codecs
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from shards.errors import Reason, SourceError
from shards.files import read_regular
from shards.paths import is_picture, shown
from shards.sample import AnnotatedSet, Rejection, Sample
from shards.sources.voc_xml import BadAnnotationError, parse_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

LISTS = ("train", "val", "trainval", "test")
"""The lists of ImageSets/Main that are read; those of single classes repeat the annotations."""

_YEAR = re.compile(r"VOC20\d\d")


def read_voc(root: Path) -> AnnotatedSet:
    """Read an annotated set in the layout of PASCAL VOC.

    A class is present where at least one object of it is not 'difficult', and only difficult
    where all of them are. A picture belongs to the annotation with the same stem, whatever the
    annotation's <filename> says. Hidden files and files that are no pictures are left aside.

    Args:
        root: a VOCdevkit (its VOC20xx folders are read as one set), one of its years, or any
            folder with JPEGImages/ and Annotations/. Each year from 2009 to 2012 contains those
            since 2008: give one of them, not several.

    Returns:
        The set; `splits` has those of train, val, trainval and test that ImageSets/Main has.
        Rejected are: an annotation without its picture and an id of a list without either
        (MISSING); a picture without an annotation of its own (NOT_ANNOTATED); an annotation that
        `parse_objects` refuses or cannot be read, and a stem that several files share, where no
        STEM.jpg settles it (BAD_ANNOTATION).

    Raises:
        SourceError: `root` does not have this layout, or one of its folders cannot be listed.
    """
    years = [_read_year(root, prefix) for prefix in _prefixes(root)]
    return AnnotatedSet(
        root=root,
        samples=tuple(sorted((s for y in years for s in y.samples), key=lambda s: s.path)),
        splits={
            name: frozenset().union(*(year.splits.get(name, ()) for year in years))
            for name in LISTS
            if any(name in year.splits for year in years)
        },
        rejected=tuple(sorted((r for y in years for r in y.rejected), key=lambda r: r.path)),
    )


class _Year(NamedTuple):
    """What one folder with JPEGImages/ and Annotations/ holds."""

    samples: list[Sample]
    rejected: list[Rejection]
    splits: Mapping[str, frozenset[str]]


def _prefixes(root: Path) -> list[str]:
    """What stands before JPEGImages/ in a sample's path: nothing, or one folder a year."""
    if _is_year(root):
        return [""]
    years = [name for name in _names(root, folders=True) if _YEAR.fullmatch(name)]
    if not years:
        raise SourceError(
            f"{root}: no JPEGImages/ and Annotations/, and no VOC20xx folders. Give a VOCdevkit or "
            "one of its years; for another layout, name the labels: --labels or --coco."
        )
    for name in years:
        if not _is_year(root / name):
            raise SourceError(
                f"{root / name}: lacks JPEGImages/ or Annotations/. Complete it, move it away, or "
                "give one of the other years."
            )
    return [f"{name}/" for name in years]


def _is_year(folder: Path) -> bool:
    return (folder / "JPEGImages").is_dir() and (folder / "Annotations").is_dir()


def _names(folder: Path, *, folders: bool = False) -> list[str]:
    """The names of the files (or the folders) in a folder, sorted, without hidden ones."""
    try:
        with os.scandir(folder) as entries:
            # A DirEntry knows its kind from the listing: no call to the file system a file.
            return sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".")
                and (entry.is_dir() if folders else entry.is_file())
            )
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed: {error.strerror}.") from error


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    """File names by what stands before the last dot."""
    stems: dict[str, list[str]] = {}
    for name in names:
        stems.setdefault(name.rpartition(".")[0], []).append(name)
    return stems


class _Stem(NamedTuple):
    """The files that share one stem, as the folders of one year hold them."""

    prefix: str
    stem: str
    annotations: Sequence[str]
    pictures: Sequence[str]

    @property
    def chosen(self) -> str:
        """The picture that the annotation means: STEM.jpg, else the first, if there is one."""
        name = f"{self.stem}.jpg"
        return name if name in self.pictures or not self.pictures else self.pictures[0]

    @property
    def path(self) -> str:
        """Where that picture lies or ought to."""
        return f"{self.prefix}JPEGImages/{self.chosen}"

    def read(self, root: Path) -> Iterator[Sample | Rejection]:
        """At most one sample; everything that is not part of it, as rejections."""
        xml = shown(f"{self.prefix}Annotations/{self.stem}.xml")
        rivals = self._rivals()
        if not self.pictures:
            yield Rejection(self.path, Reason.MISSING, f"{xml} is there, its picture is not")
        elif not self.annotations:
            yield from self._without_annotation(self.pictures, f"{xml} is not there")
        elif rivals:
            names = ", ".join(map(shown, rivals))
            yield Rejection(self.path, Reason.BAD_ANNOTATION, f"one stem, several files: {names}")
        else:
            file = f"{root}/{self.prefix}Annotations/{self.annotations[0]}"
            yield _read_annotation(file, path=self.path, xml=xml)
            others = [name for name in self.pictures if name != self.chosen]
            yield from self._without_annotation(others, f"{xml} belongs to {shown(self.chosen)}")

    def _rivals(self) -> Sequence[str]:
        """Files of which nothing says which one is meant; a STEM.jpg is always meant."""
        if len(self.annotations) > 1:
            return self.annotations
        settled = len(self.pictures) == 1 or self.chosen == f"{self.stem}.jpg"
        return () if settled else self.pictures

    def _without_annotation(self, names: Iterable[str], why: str) -> Iterator[Rejection]:
        for name in names:
            yield Rejection(f"{self.prefix}JPEGImages/{name}", Reason.NOT_ANNOTATED, why)


def _read_year(root: Path, prefix: str) -> _Year:
    """Read one folder with JPEGImages/ and Annotations/."""
    folder = root / prefix
    pictures = _by_stem(filter(is_picture, _names(folder / "JPEGImages")))
    xml = _by_stem(name for name in _names(folder / "Annotations") if name.lower().endswith(".xml"))
    stems = [
        _Stem(prefix, stem, xml.get(stem, ()), pictures.get(stem, ()))
        for stem in pictures.keys() | xml.keys()
    ]
    found = [one for stem in stems for one in stem.read(root)]
    samples = [one for one in found if isinstance(one, Sample)]
    rejected = [one for one in found if isinstance(one, Rejection)]
    paths = {stem.stem: stem.path for stem in stems}
    lists = _read_lists(folder / "ImageSets" / "Main")
    rejected += _missing(lists, paths, prefix)
    good = {sample.path for sample in samples}
    splits = {
        name: frozenset(good.intersection(map(paths.get, ids))) for name, ids in lists.items()
    }
    return _Year(samples, rejected, splits)


def _read_annotation(file: str, *, path: str, xml: str) -> Sample | Rejection:
    """Read the labels of the picture at `path`; `xml` is what messages call the file."""
    try:
        # Without a buffer and a Path: a third of the time, and there is a file a picture.
        objects = parse_objects(read_regular(file))
    except BadAnnotationError as error:
        return Rejection(path, Reason.BAD_ANNOTATION, f"{xml}, {error}")
    except OSError as error:
        return Rejection(path, Reason.BAD_ANNOTATION, f"{xml}: {error.strerror}")
    present = {name for name, difficult in objects if not difficult}
    only_difficult = {name for name, _ in objects} - present
    return Sample(path, tuple(sorted(present)), tuple(sorted(only_difficult)))


def _read_lists(folder: Path) -> dict[str, dict[str, None]]:
    """The ids of each list that is there, in its order, each once."""
    return {
        name: _read_ids(folder / f"{name}.txt")
        for name in LISTS
        if (folder / f"{name}.txt").is_file()
    }


def _read_ids(file: Path) -> dict[str, None]:
    """One id a line. Read as file names are, so that ids which are no text find their files."""
    try:
        data = read_regular(file).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}.") from error
    ids = (os.fsdecode(line.rstrip()) for line in data.split(b"\n"))
    return dict.fromkeys(stem for stem in ids if stem)


def _missing(
    lists: Mapping[str, Iterable[str]], paths: Mapping[str, str], prefix: str
) -> Iterator[Rejection]:
    """The ids of which there is neither annotation nor picture, each once."""
    named: dict[str, list[str]] = {}
    for name, ids in lists.items():
        for stem in ids:
            if stem not in paths:
                named.setdefault(stem, []).append(f"{prefix}ImageSets/Main/{name}.txt")
    for stem, files in named.items():
        detail = f"named in {', '.join(files)}; neither picture nor annotation is there"
        yield Rejection(f"{prefix}JPEGImages/{stem}.jpg", Reason.MISSING, detail)
