"""Reads PASCAL VOC: images, XML annotations and the lists of ImageSets/Main.

Source of the layout: the VOC2012 development kit, section 'Data'.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.classes import VOC_CLASSES
from shards.errors import Fault, Reason
from shards.files import open_regular
from shards.paths import is_image, shown
from shards.sample import AnnotatedSet, Rejection, Sample
from shards.sources.folders import by_suffix, files_below
from shards.sources.voc.annotation import BadAnnotationError, parse_objects
from shards.sources.voc.layout import Place, find_layout, is_xml
from shards.sources.voc.lists import read_lists
from shards.split_names import SPLITS, known_split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_LARGEST_FILE: Final = 64 << 20
"""Maximum bytes of an annotation; about 100,000 objects."""


def read_voc(root: Path) -> AnnotatedSet:
    """Read an annotated set in PASCAL VOC format.

    A class is present if at least one of its objects is not 'difficult', and only difficult if
    all are. An image belongs to the annotation with the same stem, in the same relative folder,
    regardless of the annotation's <filename>.

    Args:
        root: a VOCdevkit (its VOC20xx folders are read as one set), one of its years, or a folder
            in another layout of `voc.layout`. Each year from 2009 to 2012 includes those since
            2008: give one of them, not several.

    Returns:
        The set. `splits` has those of train, val, trainval and test for which ImageSets/Main has
        lists; without lists, the splits given by folder names (train/, valid/), if all images are
        in such folders. `vocabulary` is VOC's if the folders have VOC's names. `notes` report
        what was ignored: files that are neither image nor annotation, lists, folders.
        Rejected: an annotation without an image and a listed id without either (MISSING); an
        image without an annotation (NOT_ANNOTATED); an annotation that cannot be read or that
        `parse_objects` refuses, and a stem that several files share, unless STEM.jpg is one of
        them (BAD_ANNOTATION).

    Raises:
        SourceError: `root` has no such layout, or a folder or a list cannot be read.
    """
    layout = find_layout(root)
    places: dict[str, str] = {}
    parts = [_read_place(root, place, places) for place in layout.places]
    return AnnotatedSet(
        root=root,
        samples=tuple(sorted((s for p in parts for s in p.samples), key=lambda s: s.path)),
        splits={
            name: frozenset().union(*(part.splits.get(name, ()) for part in parts))
            for name in SPLITS
            if any(name in part.splits for part in parts)
        },
        rejected=tuple(sorted((r for p in parts for r in p.rejected), key=lambda r: r.path)),
        notes=(*layout.notes, *(note for part in parts for note in part.notes)),
        places=places,
        vocabulary=VOC_CLASSES if layout.devkit else None,
    )


class _Part(NamedTuple):
    """The contents of one pair of folders."""

    samples: list[Sample]
    rejected: list[Rejection]
    splits: Mapping[str, frozenset[str]]
    notes: list[str]


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    """Files grouped by stem: the path up to the last dot."""
    stems: dict[str, list[str]] = {}
    for name in names:
        stems.setdefault(name.rpartition(".")[0], []).append(name)
    return stems


class _Stem(NamedTuple):
    """The files that share one stem, relative to the folders of one place."""

    place: Place
    stem: str
    annotations: Sequence[str]
    images: Sequence[str]

    @property
    def chosen(self) -> str:
        """The image that the annotation refers to: STEM.jpg if present, else the first image."""
        name = f"{self.stem}.jpg"
        return name if name in self.images or not self.images else self.images[0]

    @property
    def path(self) -> str:
        """The path of that image, which may be missing."""
        return f"{self.place.images}{self.chosen}"

    def read(self, root: Path, places: dict[str, str]) -> Iterator[Sample | Rejection]:
        """At most one sample; everything else as rejections."""
        name = self.annotations[0] if self.annotations else f"{self.stem}.xml"
        xml = shown(f"{self.place.annotations}{name}")
        rivals = self._rivals()
        if not self.images:
            yield Rejection(
                self.path, Fault(Reason.MISSING, f"{xml} exists, but its image does not")
            )
        elif not self.annotations:
            yield from self._without_annotation(self.images, f"{xml} does not exist")
        elif rivals:
            names = ", ".join(map(shown, rivals))
            yield Rejection(
                self.path, Fault(Reason.BAD_ANNOTATION, f"several files share a stem: {names}")
            )
        else:
            file = f"{root}/{self.place.annotations}{name}"
            yield _read_annotation(file, path=self.path, xml=xml, places=places)
            others = [name for name in self.images if name != self.chosen]
            yield from self._without_annotation(others, f"{xml} belongs to {shown(self.chosen)}")

    def _rivals(self) -> Sequence[str]:
        """The files among which the choice is ambiguous; a STEM.jpg is always chosen."""
        if len(self.annotations) > 1:
            return self.annotations
        settled = len(self.images) == 1 or self.chosen == f"{self.stem}.jpg"
        return () if settled else self.images

    def _without_annotation(self, names: Iterable[str], why: str) -> Iterator[Rejection]:
        for name in names:
            yield Rejection(f"{self.place.images}{name}", Fault(Reason.NOT_ANNOTATED, why))


def _read_place(root: Path, place: Place, places: dict[str, str]) -> _Part:
    """Read one pair of folders; adds the first occurrence of each class to `places`."""
    images, xml, notes = _files(root, place)
    stems = [
        _Stem(place, stem, xml.get(stem, ()), images.get(stem, ()))
        for stem in sorted(images.keys() | xml.keys())
    ]
    found = [one for stem in stems for one in stem.read(root, places)]
    samples = [one for one in found if isinstance(one, Sample)]
    rejected = [one for one in found if isinstance(one, Rejection)]
    paths = {stem.stem: stem.path for stem in stems}
    lists = read_lists(
        root,
        place.lists,
        stems=paths.keys(),
        images=place.images,
        classes={*VOC_CLASSES, *places},
    )
    for name, files in lists.missing.items():
        detail = f"named in {', '.join(files)}; neither image nor annotation exists"
        rejected.append(Rejection(f"{place.images}{name}", Fault(Reason.MISSING, detail)))
    good = {sample.path for sample in samples}
    splits = {
        name: frozenset(good.intersection(map(paths.__getitem__, ids)))
        for name, ids in lists.stems.items()
    }
    notes += lists.notes
    if not splits:
        splits, told = _by_folder(place, samples)
        notes += told
    return _Part(samples, rejected, splits, notes)


def _files(
    root: Path, place: Place
) -> tuple[dict[str, list[str]], dict[str, list[str]], list[str]]:
    """Images and annotations by their stems, and lines on the other files."""
    names = files_below(root / place.images)
    beside = place.images == place.annotations
    annotations = names if beside else files_below(root / place.annotations)
    images = [name for name in names if is_image(name.rpartition("/")[2])]
    xml = [name for name in annotations if is_xml(name)]
    if beside:
        used = {*images, *xml}
        others = [n for n in names if n not in used and not n.startswith(place.lists)]
        notes = _aside("", others, "neither images nor annotations")
    else:
        used = set(images)
        notes = _aside(place.images, [n for n in names if n not in used], "not images")
        others = [name for name in annotations if not is_xml(name)]
        notes += _aside(place.annotations, others, "not .xml")
    return _by_stem(images), _by_stem(xml), notes


def _aside(folder: str, names: Sequence[str], what: str) -> list[str]:
    if not names:
        return []
    where = f"{shown(folder)}: " if folder else ""
    return [f"{where}ignored, {what}: {by_suffix(names)}; first: {shown(names[0])}"]


def _by_folder(
    place: Place, samples: Sequence[Sample]
) -> tuple[dict[str, frozenset[str]], list[str]]:
    """The splits given by folder names: of the place, or of its top-level subfolders.

    Returns:
        The splits and notes; no splits if some images are not in a split folder.
    """
    splits: dict[str | None, list[str]] = {}
    for sample in samples:
        folder, _, below = sample.path.removeprefix(place.images).partition("/")
        split = place.split or (known_split(folder) if below else None)
        splits.setdefault(split, []).append(sample.path)
    outside = splits.pop(None, [])
    if not outside:
        return {str(name): frozenset(paths) for name, paths in splits.items()}, []
    if not splits:
        return {}, []
    inside = " and ".join(shown(f"{paths[0].rpartition('/')[0]}/") for paths in splits.values())
    why = f"{len(outside)} of {len(samples)} annotated images are in no split folder"
    return {}, [f"{inside} are not used as splits: {why}, such as {shown(outside[0])}"]


def _read_annotation(
    file: str, *, path: str, xml: str, places: dict[str, str]
) -> Sample | Rejection:
    """Read the labels of the image at `path`; `xml` is the annotation's name in messages."""
    try:
        objects = parse_objects(_read_bytes(file))
    except BadAnnotationError as error:
        return Rejection(path, Fault(Reason.BAD_ANNOTATION, f"{xml}, {error}"))
    except OSError as error:
        return Rejection(path, Fault(Reason.BAD_ANNOTATION, f"{xml}: {error.strerror}"))
    for one in objects:
        if one.name not in places:
            places[one.name] = f"{xml}, line {one.line}"
    present = {one.name for one in objects if not one.difficult}
    only_difficult = {one.name for one in objects} - present
    return Sample(path, tuple(sorted(present)), tuple(sorted(only_difficult)))


def _read_bytes(file: str) -> bytes:
    # Without a buffer and a Path: a third of the time, and there is one file per image.
    with open(open_regular(file), "rb", buffering=0) as opened:  # noqa: PTH123
        if os.fstat(opened.fileno()).st_size > _LARGEST_FILE:
            raise BadAnnotationError(f"more than {_LARGEST_FILE >> 20} MiB")
        return opened.read()
