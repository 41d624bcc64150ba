"""Splits: by the set's lists, and by a fraction, stratified."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shards.errors import Fault, LabelError, Reason, SourceError
from shards.sample import AnnotatedSet, Rejection, Sample
from shards.sources.voc.read import read_voc
from shards.splitting.splits import split_by_lists, split_by_ratio
from shards.splitting.stratify import stratify

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES = tuple(f"c{column:02d}" for column in range(30))


def annotated(labels: NDArray[np.bool_]) -> AnnotatedSet:
    """A set with these labels, shape (images, classes)."""
    samples = [
        Sample(f"{number:05d}.jpg", tuple(CLASSES[column] for column in np.flatnonzero(row)))
        for number, row in enumerate(labels)
    ]
    return AnnotatedSet(Path("root"), tuple(samples))


def split(
    labels: NDArray[np.bool_], fraction: float, *, seed: int = 0
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Labels of the images to train on, and of the others."""
    splits = split_by_ratio(annotated(labels), classes=CLASSES, train_fraction=fraction, seed=seed)
    numbers = {name: [int(s.path[:5]) for s in samples] for name, samples in splits.items()}
    assert sorted(itertools.chain(*numbers.values())) == list(range(len(labels)))
    assert all(chosen == sorted(chosen) for chosen in numbers.values())
    return labels[numbers.get("train", [])], labels[numbers.get("val", [])]


def one_sided(train: NDArray[np.bool_], val: NDArray[np.bool_]) -> int:
    """How many classes with two images or more are on one side only; counted afresh."""
    return sum(
        a + b > 1 and min(a, b) == 0
        for a, b in zip(train.sum(axis=0).tolist(), val.sum(axis=0).tolist(), strict=True)
    )


def random_labels(rng: np.random.Generator, *, images: int, classes: int) -> NDArray[np.bool_]:
    """Labels with rare classes, common ones, empty ones and images without any."""
    frequency = rng.uniform(0.02, 0.5) * rng.random(classes) ** 2
    return rng.random((images, classes)) < frequency


@pytest.mark.parametrize("block", range(10))
def test_every_class_on_both_sides_and_the_fraction_met(block: int) -> None:
    """Over 300 random sets, each class of two or more is on both sides and the size is right."""
    rng = np.random.default_rng(block)
    for number in range(30):
        images = int(rng.integers(30, 300))
        labels = random_labels(rng, images=images, classes=int(rng.integers(1, 25)))
        fraction = float(rng.uniform(0.25, 0.8))
        train, val = split(labels, fraction, seed=number)
        assert one_sided(train, val) == 0
        assert abs(len(train) - fraction * images) <= 0.5 + 1e-9


def test_best_division_of_small_sets() -> None:
    """On tiny, crowded sets no division has more classes on both sides: compared with all."""
    rng = np.random.default_rng(7)
    impossible = 0
    for number in range(40):
        images, classes = int(rng.integers(2, 9)), int(rng.integers(1, 15))
        labels = rng.random((images, classes)) < rng.uniform(0.1, 0.6)
        sides = np.array(list(itertools.product((False, True), repeat=images)))
        fewest = min(one_sided(labels[side], labels[~side]) for side in sides)
        impossible += fewest > 0
        train = stratify(labels, float(rng.uniform(0.1, 0.9)), seed=number)
        assert one_sided(labels[train], labels[~train]) == fewest
    assert impossible > 0


def test_search_is_needed_and_finds() -> None:
    """A chain of classes of two images, divided 90/10, has one division only; it is found."""
    images = 24
    labels = np.zeros((images, images - 1), dtype=np.bool_)
    for column in range(images - 1):
        labels[column : column + 2, column] = True
    train, val = split(labels, 0.9)
    assert (len(train), len(val)) == (12, 12)
    assert one_sided(train, val) == 0


def test_three_images_that_no_division_serves() -> None:
    """Of three classes that join three images in a ring, one must be on one side; one is."""
    ring = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=np.bool_)
    train, val = split(ring, 0.7)
    assert (len(train), len(val), one_sided(train, val)) == (2, 1, 1)


@pytest.mark.parametrize("block", range(3))
def test_hidden_division_is_found(block: int) -> None:
    """In sets made so that one division has every class on both sides, such a one is found.

    Forty images, a hundred classes of three: what the search meets in no real set.
    """
    rng = np.random.default_rng(block)
    for number in range(5):
        hidden = rng.permutation(40) < 20
        labels = np.zeros((40, 100), dtype=np.bool_)
        for column in range(100):
            one, other = rng.permutation([True, False])
            labels[rng.choice(np.flatnonzero(hidden == one), 2, replace=False), column] = True
            labels[rng.choice(np.flatnonzero(hidden == other)), column] = True
        train = stratify(labels, 0.7, seed=number)
        assert one_sided(labels[train], labels[~train]) == 0


@pytest.mark.parametrize("fraction", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_proportions_are_kept(fraction: float, seed: int) -> None:
    """Each class's share of the training side is the fraction within two images.

    So it is where every image has a label, so that none is free to even the sizes out; a plain
    random split of the same set is three times as far off on average.
    """
    rng = np.random.default_rng(seed)
    labels = rng.random((2000, 20)) < np.linspace(0.005, 0.2, 20)
    labels = labels[labels.any(axis=1)]
    totals = labels.sum(axis=0)
    train, _ = split(labels, fraction)
    off = np.abs(train.sum(axis=0) - fraction * totals)
    assert off.max() <= 2
    plain = labels[rng.permutation(len(labels))[: len(train)]]
    assert off.mean() < np.abs(plain.sum(axis=0) - fraction * totals).mean() / 3


@pytest.mark.parametrize("seed", range(5))
def test_difficult_is_no_positive(seed: int) -> None:
    """The two images where a class is ordinary are on either side, whatever the difficult do."""
    ordinary = [Sample(f"a{n}.jpg", ("c00",)) for n in range(2)]
    difficult = [Sample(f"b{n}.jpg", (), ("c00",)) for n in range(18)]
    whole = AnnotatedSet(Path("root"), (*ordinary, *difficult))
    splits = split_by_ratio(whole, classes=CLASSES, train_fraction=0.5, seed=seed)
    assert {name: len(set(side) & set(ordinary)) for name, side in splits.items()} == {
        "train": 1,
        "val": 1,
    }


def test_order_of_the_input_does_not_matter() -> None:
    """The same samples in another order give the same split."""
    labels = random_labels(np.random.default_rng(4), images=120, classes=15)
    whole = annotated(labels)
    samples = list(whole.samples)
    random.Random(0).shuffle(samples)
    other = AnnotatedSet(whole.root, tuple(samples))
    ways = [
        split_by_ratio(each, classes=CLASSES, train_fraction=0.7, seed=5) for each in (whole, other)
    ]
    assert ways[0] == ways[1]


def test_seed() -> None:
    """The same seed gives the same split, another one another."""
    whole = annotated(random_labels(np.random.default_rng(4), images=120, classes=15))
    ways = [
        split_by_ratio(whole, classes=CLASSES, train_fraction=0.7, seed=seed) for seed in (1, 1, 2)
    ]
    assert ways[0] == ways[1]
    assert ways[0] != ways[2]


def test_split_is_the_same_on_every_machine() -> None:
    """The split of a given set and seed does not change with Python, NumPy or this code."""
    labels = np.eye(3, dtype=np.bool_)[np.arange(12) % 3]
    splits = split_by_ratio(annotated(labels), classes=CLASSES, train_fraction=2 / 3, seed=1)
    assert [int(sample.path[:5]) for sample in splits["val"]] == [5, 7, 8, 9]


@pytest.mark.parametrize(("fraction", "name"), [(1.0, "train"), (0.0, "val")])
def test_one_side_only(fraction: float, name: str) -> None:
    """With all or nothing to train on there is one split, and no empty one."""
    whole = annotated(np.eye(5, dtype=np.bool_))
    splits = split_by_ratio(whole, classes=CLASSES, train_fraction=fraction, seed=0)
    assert splits == {name: whole.samples}


@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_few_images(images: int, fraction: float) -> None:
    """Two images or more are never all on one side; one is to train on."""
    train, val = split(np.zeros((images, 2), dtype=np.bool_), fraction)
    assert len(train) == min(max(round(fraction * images), 1), max(images - 1, 1))
    assert len(val) >= 1 or images == 1


def test_no_images() -> None:
    """A set without a usable image cannot be split."""
    nothing = AnnotatedSet(Path("root"), ())
    with pytest.raises(SourceError, match="root: no usable images"):
        split_by_ratio(nothing, classes=CLASSES, train_fraction=0.7, seed=0)


def test_unknown_class() -> None:
    """A class that is not among the given ones is an error that names the image."""
    whole = AnnotatedSet(Path("root"), (Sample("a.jpg", ("zebra",)), Sample("b.jpg", ())))
    with pytest.raises(LabelError, match=r"a\.jpg.*'zebra'"):
        split_by_ratio(whole, classes=CLASSES, train_fraction=0.7, seed=0)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan])
def test_fraction_out_of_range(fraction: float) -> None:
    """A fraction that is none is refused."""
    whole = annotated(np.eye(2, dtype=np.bool_))
    with pytest.raises(ValueError, match="train_fraction"):
        split_by_ratio(whole, classes=CLASSES, train_fraction=fraction, seed=0)


def listed(**lists: str) -> AnnotatedSet:
    """Images a to f, and lists of them."""
    samples = tuple(Sample(name, ()) for name in "abcdef")
    return AnnotatedSet(
        Path("root"), samples, {name: frozenset(ids) for name, ids in lists.items()}
    )


def paths(splits: dict[str, tuple[Sample, ...]]) -> dict[str, str]:
    """The paths of each split, joined."""
    return {name: "".join(sample.path for sample in samples) for name, samples in splits.items()}


@pytest.mark.parametrize(
    ("lists", "splits"),
    [
        ({"train": "ca", "val": "b", "trainval": "abc", "test": "ed"}, "train:ac val:b test:de"),
        ({"trainval": "abc", "test": "de"}, "trainval:abc test:de"),
        ({"trainval": "abc", "val": "b"}, "val:b"),
        ({"train": "abcdef"}, "train:abcdef"),
    ],
)
def test_lists(lists: dict[str, str], splits: str) -> None:
    """Train, val and test are the splits, trainval only without the first two; sorted by path.

    Images in no list are left out.
    """
    found = paths(split_by_lists(listed(**lists)))
    assert " ".join(f"{name}:{ids}" for name, ids in found.items()) == splits


def test_lists_of_a_tree(voc_tree: Path) -> None:
    """The splits of the drawn tree are the ids of its lists."""
    splits = split_by_lists(read_voc(voc_tree))
    assert list(splits) == ["train", "val", "test"]
    for name, samples in splits.items():
        ids = (voc_tree / "ImageSets" / "Main" / f"{name}.txt").read_text().split()
        assert [sample.path for sample in samples] == sorted(f"JPEGImages/{i}.jpg" for i in ids)


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({}, "no lists in ImageSets/Main"),
        ({"train": "ab", "val": ""}, "the list 'val' names no usable image"),
        ({"train": "abc", "val": "cbd"}, r"b is in the lists 'train' and 'val' \(2 images"),
        ({"trainval": "ab", "test": "bc"}, "b is in the lists 'trainval' and 'test'"),
    ],
)
def test_bad_lists(lists: dict[str, str], said: str) -> None:
    """No lists, an empty one and an image in two of them are refused by name."""
    with pytest.raises(SourceError, match=said):
        split_by_lists(listed(**lists))


def test_a_split_of_rejected_images_says_why() -> None:
    """The first reason is in the message, as nothing is written to look it up in."""
    bad = Rejection("b", Fault(Reason.BAD_ANNOTATION, "b.txt, line 1: not numbers"))
    annotated = replace(listed(train="a", val=""), rejected=(bad,))
    with pytest.raises(SourceError, match=r"First rejected: b: b\.txt, line 1: not numbers"):
        split_by_lists(annotated)
