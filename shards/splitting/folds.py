"""Folds: divides images into several parts that each have the classes in proportion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shards.splitting.stratify import stratify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def assign_folds(
    labels: NDArray[np.bool_], folds: int, *, keys: Sequence[str], seed: int
) -> NDArray[np.int64]:
    """Assign images to folds with multi-label stratification, one fold after the other.

    Each step separates one fold from the images that are left, so every class that two or more of
    these show is on both sides; see `stratify` for the limits. A class that two images show is
    therefore in two folds, and whichever fold is held out, the others show the class.

    Args:
        labels: shape (N, C), True where the class is present.
        folds: their number, 2 to the number of different keys.
        keys: one per image; images with equal keys, such as copies of a file, share a fold, because
            a model trained on one copy is not independent of the other.
        seed: of the random order, which decides ties, and of the search.

    Returns:
        int64, shape (N,): the fold of each image, from 0. The numbers of different keys per fold
        differ by at most 1, except where that would take a class out of a fold.
    """
    numbers: dict[str, int] = {}
    group = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    shown = np.zeros((len(numbers), labels.shape[1]), np.bool_)
    np.logical_or.at(shown, group, labels)
    rest = np.random.default_rng(seed % 2**63).permutation(len(numbers))
    fold = np.full(len(numbers), folds - 1, np.int64)
    for number in range(folds - 1):
        stays = stratify(shown[rest], 1 - 1 / (folds - number), seed=seed + number)
        fold[rest[~stays]] = number
        rest = rest[stays]
    found: NDArray[np.int64] = fold[group]
    return found
