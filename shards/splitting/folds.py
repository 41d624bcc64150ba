"""Folds: divides images into several parts that each have the classes in proportion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def assign_folds(
    labels: NDArray[np.bool_], folds: int, *, keys: Sequence[str], seed: int
) -> NDArray[np.int64]:
    """Assign images to folds with iterative stratification.

    Args:
        labels: shape (N, C), True where the class is present.
        folds: their number, 2 to the number of different keys.
        keys: one per image; images with equal keys, such as copies of a file, share a fold, because
            a model trained on one copy is not independent of the other.
        seed: of the random order, which decides ties.

    Returns:
        int64, shape (N,): the fold of each image, from 0. The numbers of different keys per fold
        differ by at most 1.

    Source: Sechidis, Tsoumakas, Vlahavas (2011), "On the Stratification of Multi-label Data",
    ECML PKDD, figure 1; with ties broken by the image's other classes, so that two images of a rare
    class are not dealt to one fold for the sake of other classes.
    """
    numbers: dict[str, int] = {}
    group = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    shown = np.zeros((len(numbers), labels.shape[1]), np.bool_)
    np.logical_or.at(shown, group, labels)
    order = np.random.default_rng(seed % 2**63).permutation(len(numbers))
    fold = np.empty(len(numbers), np.int64)
    fold[order] = _deal(shown[order], folds)
    found: NDArray[np.int64] = fold[group]
    return found


def _deal(shown: NDArray[np.bool_], folds: int) -> NDArray[np.int64]:
    """Deal images, rarest class first, each to a fold that has the fewest of that class.

    Args:
        shown: bool (G, C).
        folds: their number.

    Returns:
        int64 (G,), the fold of each.
    """
    images = len(shown)
    totals = shown.sum(axis=0)
    have = np.zeros((folds, shown.shape[1]), np.int64)
    room = np.array([(images + spare) // folds for spare in reversed(range(folds))])
    fold = np.full(images, -1, np.int64)
    left = totals.copy()
    while left.any():
        rarest = int(np.argmin(np.where(left > 0, left, images + 1)))
        rows = np.flatnonzero(shown[:, rarest] & (fold < 0))
        for row in rows.tolist():
            columns = np.flatnonzero(shown[row])
            others = (have[:, columns] / totals[columns]).sum(axis=1)
            full = room == 0
            number = int(np.lexsort((-room, others, have[:, rarest], full))[0])
            fold[row] = number
            have[number, columns] += 1
            room[number] -= 1
        left -= shown[rows].sum(axis=0)
    fold[fold < 0] = np.repeat(np.arange(folds), room)
    return fold
