"""Folds have the classes in proportion, and copies of an image together."""

from __future__ import annotations

import numpy as np
import pytest

from shards.splitting.folds import assign_folds


def some_labels(images: int, *, seed: int) -> np.ndarray:
    """From common classes to classes of two images, and images without a class."""
    generator = np.random.default_rng(seed)
    shares = np.array([0.6, 0.3, 0.2, 0.1, 0.05])
    labels = generator.random((images, 8)) < np.r_[shares, 0, 0, 0]
    for column, shown in ((5, 2), (6, 3), (7, 1)):
        labels[generator.choice(images, shown, replace=False), column] = True
    return labels


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
@pytest.mark.parametrize("seed", [0, 1, -7])
def test_every_class_is_in_every_fold_that_it_can_be_in(folds: int, seed: int) -> None:
    """Common classes are in all folds in proportion, rare ones in as many as they have images."""
    labels = some_labels(120, seed=abs(seed))
    fold = assign_folds(labels, folds, keys=[str(n) for n in range(120)], seed=seed)
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    counts = np.stack([labels[fold == n].sum(axis=0) for n in range(folds)])
    totals = labels.sum(axis=0)
    assert ((counts > 0).sum(axis=0) >= np.minimum(totals, 2)).all()
    common = totals >= 4 * folds
    assert common[0]
    assert (counts[:, common] > 0).all()
    assert (np.abs(counts - totals / folds)[:, common] <= 2).all()


def test_copies_share_a_fold() -> None:
    """Images with equal keys are in one fold, wherever they are in the list."""
    labels = some_labels(60, seed=3)
    keys = [str(number % 40) for number in range(60)]
    fold = assign_folds(labels, 4, keys=keys, seed=0)
    assert all(fold[number] == fold[number - 40] for number in range(40, 60))
    assert sorted(np.bincount(fold[:40])) == [10, 10, 10, 10]


def test_one_image_per_fold() -> None:
    """As many folds as images: each image is held out alone."""
    fold = assign_folds(some_labels(7, seed=0), 7, keys=list("abcdefg"), seed=0)
    assert sorted(fold) == list(range(7))


def test_a_seed_decides() -> None:
    """Equal seeds give equal folds, others do not; the keys' text does not matter."""
    labels = some_labels(60, seed=1)
    keys = [str(number) for number in range(60)]
    one = assign_folds(labels, 5, keys=keys, seed=1)
    assert (one == assign_folds(labels, 5, keys=keys[::-1], seed=1)).all()
    assert (one != assign_folds(labels, 5, keys=keys, seed=2)).any()
