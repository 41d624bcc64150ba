"""Multi-label stratification: divides images so that both sides have each class in proportion."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEARCH_STEPS = 10_000
"""Moves after which the search for a division with all classes on both sides gives up."""
_CANDIDATES = 32
"""Images of a class considered in one step of that search."""
_DETOUR = 0.3
"""Probability of moving a random one instead of the best, if the best breaks another class."""


def stratify(labels: NDArray[np.bool_], fraction: float, *, seed: int) -> NDArray[np.bool_]:
    """Divide images in two with multi-label stratification.

    Iterative stratification assigns the images; then single images are moved so that every class
    with two or more images is on both sides, and the sizes match. If both are impossible, the
    classes take precedence and the size is as close as moving single images allows. For some
    sets no division works (three images, every two of which share a class of their own), and
    finding one is NP-hard in general (set splitting), so the search is limited and returns the
    division it found with the fewest one-sided classes.

    Args:
        labels: shape (N, C), N at least 1, True where the class is present; in random order,
            because the order decides ties.
        fraction: fraction of the images to train on; above 0, below 1.
        seed: seed of the search.

    Returns:
        Shape (N,), True for the images to train on; round(fraction * N) of them, but at least
        one on each side if N is at least 2.

    Source: Sechidis, Tsoumakas, Vlahavas (2011), "On the Stratification of Multi-label Data",
    ECML PKDD, figure 1; the search: Selman, Kautz, Cohen (1994), "Noise Strategies for Improving
    Local Search", AAAI.
    """
    images = len(labels)
    target = min(max(round(fraction * images), 1), max(images - 1, 1))
    division = _Division(labels, _deal(labels, fraction, target=target))
    _cover(division, random.Random(seed))  # noqa: S311 - nothing is secret here
    _balance(division, fraction, target=target)
    return division.train


class _Division:
    """Images on two sides, with the counts per class on each side."""

    def __init__(self, labels: NDArray[np.bool_], train: NDArray[np.bool_]) -> None:
        self.labels = labels
        self.train = train
        self.totals = labels.sum(axis=0)
        self.on_train = labels[train].sum(axis=0)

    def move(self, image: int) -> None:
        """Move an image to the other side."""
        self.train[image] = not self.train[image]
        self.on_train += self.labels[image] * (1 if self.train[image] else -1)

    def one_sided(self) -> NDArray[np.intp]:
        """The classes that could be on both sides but are not."""
        either = (self.on_train == 0) | (self.on_train == self.totals)
        return np.flatnonzero(either & (self.totals > 1))

    def holds(self, images: NDArray[np.intp], *, train: bool) -> NDArray[np.intp]:
        """For each image, the number of classes of which it is the last image on its side.

        Args:
            images: images of one side.
            train: whether that is the training side.

        Returns:
            Shape (len(images),).
        """
        here = self.on_train if train else self.totals - self.on_train
        last = (here == 1) & (self.totals > 1)
        counts: NDArray[np.intp] = self.labels[np.ix_(images, np.flatnonzero(last))].sum(axis=1)
        return counts


def _deal(labels: NDArray[np.bool_], fraction: float, *, target: int) -> NDArray[np.bool_]:
    """Iterative stratification: rarest class first, each image to the side that lacks it most."""
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
    unlabeled = np.flatnonzero(undealt)
    train[unlabeled[: max(round(room[0]), 0)]] = True
    return train


def _cover(division: _Division, rng: random.Random) -> None:
    """Place every class with two or more images on both sides, as far as the search succeeds."""
    best = division.train.copy()
    fewest = len(division.one_sided())
    for _ in range(_SEARCH_STEPS):
        broken = division.one_sided()
        if len(broken) < fewest:
            fewest, best = len(broken), division.train.copy()
        if not len(broken):
            return
        images = np.flatnonzero(division.labels[:, broken[_below(rng, len(broken))]])
        start = _below(rng, len(images))
        images = np.roll(images, -start)[:_CANDIDATES]
        harm = division.holds(images, train=bool(division.train[images[0]]))
        choice = int(np.argmin(harm))
        if harm[choice] and rng.random() < _DETOUR:
            choice = _below(rng, len(images))
        division.move(int(images[choice]))
    for image in np.flatnonzero(best != division.train).tolist():
        division.move(image)


def _below(rng: random.Random, end: int) -> int:
    """A random integer in 0 to end - 1; only `random()` is guaranteed stable across Pythons."""
    return int(rng.random() * end)


def _balance(division: _Division, fraction: float, *, target: int) -> None:
    """Move images to the smaller side, first those that bring the classes closest to `fraction`.

    An image that is the last one of a class on its side is not moved.
    """
    weights = 1 / np.maximum(division.totals, 1)
    while (surplus := int(division.train.sum()) - target) != 0:
        side = surplus > 0
        images = np.flatnonzero(division.train == side)
        images = images[division.holds(images, train=side) == 0]
        if not len(images):
            return
        step = -1 if side else 1
        excess = division.on_train - fraction * division.totals
        # What one more image of a class on the training side adds to the sum over classes of
        # excess ** 2 / total.
        cost = (1 + 2 * step * excess) * weights
        division.move(int(images[np.argmin(division.labels[images] @ cost)]))
