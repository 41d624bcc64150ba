"""Splits a set into training and evaluation images: by its own lists, or by a fraction."""

from __future__ import annotations

import hashlib
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from shards.classes import encode
from shards.errors import SourceError
from shards.paths import shown
from shards.splitting.stratify import stratify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shards.sample import AnnotatedSet, Sample


def _first_reason(annotated: AnnotatedSet) -> str:
    """The first rejection of a set, for a message; '' if there is none."""
    first = next(iter(annotated.rejected), None)
    return "" if first is None else f" First rejected: {shown(first.path)}: {first.fault.detail}."


def split_by_lists(annotated: AnnotatedSet) -> dict[str, tuple[Sample, ...]]:
    """Split by the set's own lists.

    Args:
        annotated: a set with lists.

    Returns:
        'train', 'val' and 'test', as far as lists exist; 'trainval' only if there is neither
        'train' nor 'val'. Samples sorted by path. Images in none of these are left out.

    Raises:
        SourceError: there are no lists; one of these names no usable image; an image is in two
            of them.
    """
    lists = dict(annotated.splits)
    if "train" in lists or "val" in lists:
        lists.pop("trainval", None)
    if not lists:
        raise SourceError(
            f"{annotated.root}: defines no splits (no lists in ImageSets/Main, no split folders, "
            "no column 'split', no second `coco`). Use `split='ratio'`."
        )
    _refuse_leaks(annotated, lists)
    splits = {
        name: tuple(sample for sample in annotated.samples if sample.path in paths)
        for name, paths in lists.items()
    }
    for name, samples in splits.items():
        if not samples:
            raise SourceError(
                f"{annotated.root}: the list '{name}' names no usable image. Correct or "
                f"remove it (ImageSets/Main/{name}.txt, the column 'split', the `coco` file), "
                f"or use `split='ratio'`.{_first_reason(annotated)}"
            )
    return splits


def _refuse_leaks(annotated: AnnotatedSet, lists: Mapping[str, frozenset[str]]) -> None:
    """Refuse images in two lists: training images must not be used for evaluation."""
    for (one, ones), (other, others) in combinations(lists.items(), 2):
        both = ones & others
        if both:
            raise SourceError(
                f"{annotated.root}: {shown(min(both))} is in the lists '{one}' and '{other}' "
                f"({len(both)} images in all). Remove it from one, or use `split='ratio'`."
            )


def split_by_ratio(
    annotated: AnnotatedSet, *, classes: Sequence[str], train_fraction: float, seed: int
) -> dict[str, tuple[Sample, ...]]:
    """Split by a fraction, stratified by multi-label stratification.

    The same images, labels and seed give the same split, for any order of the samples.
    Classes with only 'difficult' instances in an image count as absent from it.

    Args:
        annotated: the set; its own lists are ignored.
        classes: the vocabulary.
        train_fraction: fraction of the images to train on; 0 to 1.
        seed: seed of the split.

    Returns:
        'train' and 'val', samples sorted by path; only one of them if the fraction is 0 or 1
        or there is only one image. Every class with two or more images is in both splits, and
        the sizes match the rounded fraction, within the limits described in `stratify`.

    Raises:
        SourceError: there are no images.
        LabelError: an image has a class that is not in `classes`.
        ValueError: the fraction is not from 0 to 1.
    """
    if not 0 <= train_fraction <= 1:
        raise ValueError(f"train_fraction is {train_fraction}, not from 0 to 1")
    if not annotated.samples:
        raise SourceError(f"{annotated.root}: no usable images, so nothing to split.")
    shuffled = sorted(annotated.samples, key=lambda sample: _draw(sample.path, seed))
    if train_fraction in {0, 1}:
        train = np.full(len(shuffled), train_fraction == 1)
    else:
        labels = np.stack([encode(sample, classes) for sample in shuffled]) == 1
        train = stratify(labels, train_fraction, seed=seed)
    sides = {
        name: [sample for sample, here in zip(shuffled, train, strict=True) if here == is_train]
        for name, is_train in (("train", True), ("val", False))
    }
    return {
        name: tuple(sorted(samples, key=lambda sample: sample.path))
        for name, samples in sides.items()
        if samples
    }


def _draw(path: str, seed: int) -> bytes:
    """A random number that depends only on the path and the seed, in every Python version."""
    text = f"{seed}\n{path}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=16).digest()
