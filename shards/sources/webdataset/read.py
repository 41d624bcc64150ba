"""Reads a WebDataset: tars of images whose labels are members beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.classes import VOC_CLASSES
from shards.errors import Fault, Reason, SourceError
from shards.paths import first_names, shown
from shards.sample import AnnotatedSet, Rejection, Sample
from shards.sources.webdataset.choice import Choice, choose, label_bytes
from shards.sources.webdataset.samples import Listing, TarSample, TarStore
from shards.sources.webdataset.tars import CLASS_NAMES, class_names, find_tars
from shards.sources.webdataset.values import BadValueError, Value, parse
from shards.sources.webdataset.vectors import (
    UnknownClassError,
    are_flags,
    other_length,
    present_and_difficult,
)
from shards.sources.words import counted
from shards.split_names import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from shards.sources.webdataset.tars import TarFile


def read_webdataset(
    root: Path, files: Iterable[str], *, columns: Sequence[str] = ()
) -> AnnotatedSet:
    """Read the labels of samples in tars. The images stay there, and are read when packed.

    Labels are members `cls` (a class index, or names on lines or with ';'), `npy` (an index, or
    one number per class) or `json` (the same in a field called like labels, and lists of
    indices or names). Indices are those of classnames.txt.

    Args:
        root: the folder of the tars, with or without a folder per split.
        files: the files below it, relative to it.
        columns: an extension of those members, or fields of the JSON; several fields are classes
            with 1 or 0. () finds them.

    Returns:
        The set; `classes` are those of classnames.txt, or None; `splits` those that folders or
        tars are called after. Rejected: samples without an image (MISSING), without a label
        (NOT_ANNOTATED), with several images or with a bad label (BAD_ANNOTATION).

    Raises:
        DamageError: a tar is damaged, truncated or compressed.
        SourceError: no tars, or not all of them; no labels, or several that could be them; an
            index without a name.
    """
    tars = find_tars(root, files)
    names = class_names(root, tars)
    paths = [root / tar.path for tar in tars]
    listing = Listing()
    for number, (file, tar) in enumerate(zip(paths, tars, strict=True)):
        listing.add(file, tar, number)
    choice = choose(root, paths, listing, columns)
    labels = _Labels(root, names, choice)
    for sample, data in label_bytes(paths, listing.samples, choice.extension):
        labels.add(sample, data)
    samples = labels.samples()
    there = {sample.path for sample in samples}
    return AnnotatedSet(
        root=root,
        samples=tuple(sorted(samples, key=lambda sample: sample.path)),
        splits=_splits(tars, listing.samples, there),
        rejected=tuple(sorted([*listing.rejected, *labels.rejected], key=lambda bad: bad.path)),
        classes=names,
        notes=tuple(_notes(tars, listing, choice, labels)),
        store=TarStore(paths, listing.samples),
    )


class _Labels:
    """Reads the labels of the samples.

    Attributes:
        rejected: samples without a label or with a bad one.
        flags: whether they have a number per class; after `samples`.
        names: the classes by index, or None.
        difficult: number of labels of only 'difficult' instances; after `samples`.
    """

    def __init__(self, root: Path, names: tuple[str, ...] | None, choice: Choice) -> None:
        self.rejected: list[Rejection] = []
        self.flags = False
        self.difficult = 0
        self._root = root
        self.names = names
        self._choice = choice
        self._values: dict[str, Value] = {}

    def add(self, sample: TarSample, data: bytes | None) -> None:
        """Parse the label of one sample."""
        if data is None:
            why = Fault(Reason.NOT_ANNOTATED, f"no .{self._choice.extension} in the sample")
            self.rejected.append(Rejection(sample.path, why))
            return
        try:
            self._values[sample.path] = parse(data, self._choice.kind, self._choice.fields)
        except BadValueError as error:
            self._reject(sample.path, error)

    def _reject(self, path: str, error: BadValueError) -> None:
        why = f"{self._choice}: {error}"
        self.rejected.append(Rejection(path, Fault(Reason.BAD_ANNOTATION, why)))

    def samples(self) -> list[Sample]:
        """The samples with valid labels.

        Raises:
            SourceError: numbers, but no names of classes, or another number of them; an index
                without a name.
        """
        vectors = [one.numbers for one in self._values.values() if one.numbers is not None]
        if vectors and self.names is None:
            raise SourceError(
                f"{self._root}: labels in {self._choice} are numbers, and no {CLASS_NAMES} says of "
                f"which classes. Write {self._root / CLASS_NAMES}, one class per line."
            )
        number = len(self.names or ())
        self.flags = bool(vectors) and are_flags(vectors, number)
        if not self.flags and (length := other_length(vectors)):
            raise SourceError(
                f"{self._root}: labels in {self._choice} are {length} numbers of 1 and 0, but "
                f"{CLASS_NAMES} names {number} classes. Correct {CLASS_NAMES}."
            )
        found = (self._sample(path, value) for path, value in self._values.items())
        return [sample for sample in found if sample is not None]

    def _sample(self, path: str, value: Value) -> Sample | None:
        if value.names is not None:
            return Sample(path, tuple(sorted(set(value.names))))
        names = self.names or ()
        try:
            present, difficult = present_and_difficult(value.numbers or (), names, flags=self.flags)
        except BadValueError as error:
            self._reject(path, error)
            return None
        except UnknownClassError as error:
            raise SourceError(
                f"{self._root}: {shown(path)}: {self._choice}: class {error}, but {CLASS_NAMES} "
                f"names 0 to {len(names) - 1}. Correct one of them."
            ) from None
        self.difficult += len(difficult)
        return Sample(path, tuple(sorted(present)), tuple(sorted(difficult)))


def _splits(
    tars: Sequence[TarFile], samples: Sequence[TarSample], there: set[str]
) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for sample in samples:
        split = tars[sample.tar].split
        if split is not None and sample.path in there:
            found.setdefault(split, set()).add(sample.path)
    return {name: frozenset(found[name]) for name in SPLITS if name in found}


def _notes(
    tars: Sequence[TarFile], listing: Listing, choice: Choice, labels: _Labels
) -> Iterator[str]:
    """Lines on how the labels were read and what was ignored."""
    form = ", one number per class" if labels.flags else ""
    yield f"{counted(len(tars), 'tar')}: labels are in {choice}{form}"
    ignored = (listing.extensions + listing.others).items()
    others = [f".{one} {number}" for one, number in ignored if one != choice.extension]
    if others:
        yield f"members ignored: {first_names(others, most=20)}"
    if labels.difficult:
        yield f"{counted(labels.difficult, 'label')} of -1: only 'difficult' instances"
    if any(tar.split for tar in tars) and (rest := [t.path for t in tars if not t.split]):
        yield f"{counted(len(rest), 'tar')} in no split: {first_names(rest)}"
    if set(labels.names or ()) == set(VOC_CLASSES) and not labels.difficult:
        yield (
            "these are PASCAL VOC's classes: objects marked 'difficult' count as present in its "
            "published tars, so figures differ from those of VOC's protocol"
        )
