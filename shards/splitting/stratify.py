"""Which pictures to train on, so that every class stands on both sides in the same proportion."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEARCH_STEPS = 10_000
"""Moves after which the search for classes on both sides gives up."""
_CANDIDATES = 32
"""Pictures of a class that one step of that search looks at."""
_DETOUR = 0.3
"""Chance that it moves any of them, not the best, where the best breaks another class."""


def stratify(labels: NDArray[np.bool_], fraction: float, *, seed: int) -> NDArray[np.bool_]:
    """Divide pictures in two, stratified for several labels.

    Iterative stratification deals the pictures out; then single pictures are moved so that every
    class with two pictures or more stands on both sides, and so that the sizes are right. Where
    these two cannot both be had, the classes win and the size is as near as moving one picture
    after the other brings it. There are sets that no division serves (three pictures, every two
    of which share a class of their own); to find a division is NP-hard in general (set
    splitting), so the search has an end and leaves the division with the fewest classes on one
    side only that it met.

    Args:
        labels: shape (N, C), N at least 1, True where the class is present; in random order, as
            ties are decided by it.
        fraction: of the pictures, to train on; above 0, below 1.
        seed: of the search.

    Returns:
        Shape (N,), True for the pictures to train on; round(fraction * N) of them, but at least
        one on each side where N is at least 2.

    Source: Sechidis, Tsoumakas, Vlahavas (2011), "On the Stratification of Multi-label Data",
    ECML PKDD, figure 1; the search: Selman, Kautz, Cohen (1994), "Noise Strategies for Improving
    Local Search", AAAI.
    """
    pictures = len(labels)
    target = min(max(round(fraction * pictures), 1), max(pictures - 1, 1))
    division = _Division(labels, _deal(labels, fraction, target=target))
    _cover(division, random.Random(seed))  # noqa: S311 - nothing is secret here
    _balance(division, fraction, target=target)
    return division.train


class _Division:
    """Pictures on two sides, and how many of each class stand where."""

    def __init__(self, labels: NDArray[np.bool_], train: NDArray[np.bool_]) -> None:
        self.labels = labels
        self.train = train
        self.totals = labels.sum(axis=0)
        self.on_train = labels[train].sum(axis=0)

    def move(self, picture: int) -> None:
        """To the other side."""
        self.train[picture] = not self.train[picture]
        self.on_train += self.labels[picture] * (1 if self.train[picture] else -1)

    def one_sided(self) -> NDArray[np.intp]:
        """The classes that could stand on both sides and do not."""
        either = (self.on_train == 0) | (self.on_train == self.totals)
        return np.flatnonzero(either & (self.totals > 1))

    def holds(self, pictures: NDArray[np.intp], *, train: bool) -> NDArray[np.intp]:
        """Of how many classes each of these pictures is the last one on its side.

        Args:
            pictures: all of them on one side.
            train: which side.

        Returns:
            Shape (len(pictures),).
        """
        here = self.on_train if train else self.totals - self.on_train
        last = (here == 1) & (self.totals > 1)
        counts: NDArray[np.intp] = self.labels[np.ix_(pictures, np.flatnonzero(last))].sum(axis=1)
        return counts


def _deal(labels: NDArray[np.bool_], fraction: float, *, target: int) -> NDArray[np.bool_]:
    """Iterative stratification: the rarest class first, each picture to where it lacks most."""
    totals = labels.sum(axis=0)
    want = ((fraction * totals).tolist(), (totals - fraction * totals).tolist())
    room = [float(target), float(len(labels) - target)]
    train = np.zeros(len(labels), dtype=np.bool_)
    undealt = np.ones(len(labels), dtype=np.bool_)
    left = totals.copy()
    while left.any():
        rarest = int(np.argmin(np.where(left > 0, left, len(labels) + 1)))
        rows = np.flatnonzero(labels[:, rarest] & undealt)
        for row in rows.tolist():
            lack = [(want[side][rarest], room[side]) for side in (0, 1)]
            side = int(lack[1] > lack[0])
            train[row] = side == 0
            room[side] -= 1
            for column in np.flatnonzero(labels[row]).tolist():
                want[side][column] -= 1
        undealt[rows] = False
        left -= labels[rows].sum(axis=0)
    unlabelled = np.flatnonzero(undealt)
    train[unlabelled[: max(round(room[0]), 0)]] = True
    return train


def _cover(division: _Division, rng: random.Random) -> None:
    """Bring every class of two pictures or more to both sides, or as many as the search can."""
    best = division.train.copy()
    fewest = len(division.one_sided())
    for _ in range(_SEARCH_STEPS):
        broken = division.one_sided()
        if len(broken) < fewest:
            fewest, best = len(broken), division.train.copy()
        if not len(broken):
            return
        pictures = np.flatnonzero(division.labels[:, broken[_below(rng, len(broken))]])
        start = _below(rng, len(pictures))
        pictures = np.roll(pictures, -start)[:_CANDIDATES]
        harm = division.holds(pictures, train=bool(division.train[pictures[0]]))
        choice = int(np.argmin(harm))
        if harm[choice] and rng.random() < _DETOUR:
            choice = _below(rng, len(pictures))
        division.move(int(pictures[choice]))
    for picture in np.flatnonzero(best != division.train).tolist():
        division.move(picture)


def _below(rng: random.Random, end: int) -> int:
    """A number from 0 to end - 1; `random()` alone is promised to be the same in every Python."""
    return int(rng.random() * end)


def _balance(division: _Division, fraction: float, *, target: int) -> None:
    """Move pictures to the smaller side, those first that bring the classes nearest to `fraction`.

    A picture that is the last one of a class on its side stays.
    """
    weights = 1 / np.maximum(division.totals, 1)
    while (surplus := int(division.train.sum()) - target) != 0:
        side = surplus > 0
        pictures = np.flatnonzero(division.train == side)
        pictures = pictures[division.holds(pictures, train=side) == 0]
        if not len(pictures):
            return
        step = -1 if side else 1
        excess = division.on_train - fraction * division.totals
        # What one picture of a class more on the training side adds to the sum over classes of
        # excess ** 2 / total.
        cost = (1 + 2 * step * excess) * weights
        division.move(int(pictures[np.argmin(division.labels[pictures] @ cost)]))
