"""Pools of workers in this process, which do units in odd orders and die in odd moments."""

from __future__ import annotations

import pickle
import random
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import shards.packing.units_run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from shards.packing.units import Result, Unit, Workshop


class StoppedError(Exception):
    """The pool was told to stop."""


class ShufflingPool:
    """Takes up to `hands` units at a time, and does them in any order.

    Args:
        seed: of the order.
        hands: units that are taken before one is done.
        stop: number of units that are done before the pool stops.
        threads: of each unit.

    Attributes:
        done: the units that were done, in order.
        after: called with the number of each unit when it was done.
    """

    def __init__(
        self, seed: int = 0, *, hands: int = 4, stop: int | None = None, threads: int = 1
    ) -> None:
        self._chance = random.Random(seed)
        self._hands = hands
        self._stop = stop
        self._threads = threads
        self.done: list[Unit] = []
        self.after: Callable[[int], None] = lambda _number: None

    @contextmanager
    def __call__(self, workshop: Workshop) -> Iterator[ShufflingPool]:
        """Open the pool: a worker gets a copy of everything."""
        self._workshop = pickle.loads(pickle.dumps(workshop))
        self._workshop.enter()
        yield self

    def run(self, units: Iterator[Unit]) -> Generator[Result]:
        """Do the units."""
        hand: list[Any] = []
        while True:
            hand += islice(units, self._hands - len(hand))
            if not hand:
                return
            unit = hand.pop(self._chance.randrange(len(hand)))
            if len(self.done) == self._stop:
                raise StoppedError
            self.done.append(unit)
            unit = pickle.loads(pickle.dumps(unit))
            result = self._workshop.do(unit, workers=self._threads)
            self.after(unit.number)
            yield pickle.loads(pickle.dumps(result))


def small_units(monkeypatch: Any, images: int = 2) -> None:
    """Let units have this number of images to check."""
    monkeypatch.setattr(shards.packing.units_run, "CHECK_IMAGES", images)
