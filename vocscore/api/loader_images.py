"""The images of a loader: packed shards with labels, or any images without."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shards.manifest import NAME as MANIFEST
from shards.manifest import read_manifest
from shards.packed_set import manifest_of
from shards.paths import shown
from shards.reader import load_split
from shards.remote import places, store
from shards.sample import ImageRef
from vocscore.errors import EvalError, LoaderError
from vocscore.evaluation.difficult import DIFFICULT_RULES, apply_difficult
from vocscore.local_folders import local_folder
from vocscore.scoring.inputs.sources import is_url, read_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shards.manifest import Manifest
    from shards.raw_images import RawForm
    from vocscore.scoring.inputs.units import Unit

_UNIT_FILES = 1 << 16
"""Files listed per unit; results do not depend on it."""


@dataclass(frozen=True, slots=True, eq=False)
class ChosenImages:
    """The images of a loader; the index is the row number.

    Attributes:
        refs: where the bytes of each image are.
        labels: int8, shape (len(refs), C): 1 present, 0 absent, -1 only difficult; None if the
            source has no labels.
        classes: the columns of `labels`; () without labels.
        notes: one line for each part of the source that was left out or looks wrong.
        difficult: the rule that was applied to `labels`; None without labels.
        raw: the form of raw shards; None for any other source.
    """

    refs: Sequence[ImageRef]
    labels: NDArray[np.int8] | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    difficult: str | None = None
    raw: RawForm | None = None


def choose_images(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    split: str | None,
    difficult: str,
) -> ChosenImages:
    """Find the images of a source; no image is read.

    Args:
        source: a folder of packed shards, with their labels; any other source of
            `vocscore score`; or a list of image files.
        split: of packed shards: a name, or names joined by commas; None: all splits.
        difficult: as for `apply_difficult`.

    Raises:
        LoaderError: there is no image, or no split of that name.
        ScoreError: the source does not exist or cannot be read.
        DamageError: the shards are incomplete or damaged.
        EvalError: the rule for difficult labels is unknown.
    """
    if difficult not in DIFFICULT_RULES:
        raise EvalError(f"difficult {difficult!r} is not one of {', '.join(DIFFICULT_RULES)}.")
    if not isinstance(source, (str, os.PathLike)):
        _refuse_split(split, "a list of files")
        found = ChosenImages(tuple(ImageRef(os.fspath(file), os.fspath(file)) for file in source))
        where = "the list"
    else:
        source, where = _fetched(source), shown(os.fspath(source))
        folder = Path(source)
        manifest = manifest_of(folder)
        if manifest is None and split is not None and folder.is_dir():
            manifest = read_manifest(folder)  # its error says what is missing
        if manifest is not None:
            return _packed(folder, manifest, split=split, difficult=difficult)
        _refuse_split(split, where)
        found = _unlabeled(source)
    if not found.refs:
        raise LoaderError(f"{where}: contains no image.")
    return found


def _fetched(source: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The local copy of packed shards on object storage; any other source as it is."""
    url = os.fspath(source)
    if not is_url(url) or places.is_http(url) or places.has_secret(url):
        return source
    store.check(url)
    packed = store.head(places.join(url, MANIFEST)) is not None
    return local_folder(url) if packed else source


def _refuse_split(split: str | None, where: str) -> None:
    if split is not None:
        raise LoaderError(
            f"{where}: not packed shards, so there is no split {split!r}. Leave split out, or name "
            "the folder that 'vocscore pack' wrote."
        )


def split_names(folder: Path, manifest: Manifest, split: str | None) -> tuple[str, ...]:
    """The requested splits, without duplicates.

    Raises:
        LoaderError: one does not exist, or is named twice.
    """
    if split is None:
        return tuple(manifest.splits)
    names = tuple(name.strip() for name in split.split(","))
    for name in names:
        if name not in manifest.splits:
            there = ", ".join(manifest.splits)
            raise LoaderError(f"{shown(str(folder))}: has no split {name!r}. There are: {there}.")
        if names.count(name) > 1:
            raise LoaderError(f"split {name!r} is named twice in {split!r}: name each split once.")
    return names


def _packed(folder: Path, manifest: Manifest, *, split: str | None, difficult: str) -> ChosenImages:
    found = load_split(folder, ",".join(split_names(folder, manifest, split)))
    labels = apply_difficult(found.labels, difficult)
    return ChosenImages(
        found.images, labels, manifest.classes, difficult=difficult, raw=manifest.raw
    )


def _unlabeled(source: str | os.PathLike[str]) -> ChosenImages:
    inputs = read_source(os.fspath(source))
    refs: list[ImageRef] = []
    notes = list(inputs.problems)
    for unit in inputs.units(_UNIT_FILES):
        found, problems = _contents(unit)
        refs += found
        notes += problems
    return ChosenImages(tuple(refs), notes=tuple(notes))


def _contents(unit: Unit) -> tuple[Sequence[ImageRef], Sequence[str]]:
    """The images of a unit, and problems of the unit as a whole.

    Raises:
        LoaderError: it is a tar that cannot be read.
    """
    contents = unit.read()
    if contents.refusal is not None:
        raise LoaderError(f"{shown(contents.images[0].name)}: {contents.refusal}")
    return contents.images, contents.problems
