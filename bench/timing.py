"""Fair timing: burn in, interleave, medians."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Rate:
    """What one contestant reached, one value a repeat: images per second, as a rule."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """(largest - smallest) / median: how far the machine drifted."""
        return (max(self.values) - min(self.values)) / self.median

    def times(self, factor: float) -> Rate:
        """The same in another unit."""
        return Rate(tuple(value * factor for value in self.values))


@dataclass(frozen=True)
class Timed:
    """Work that has looked at the clock itself, to leave its preparations out."""

    images: int
    seconds: float


def interleave(
    contestants: Mapping[str, Callable[[], int | Timed]], *, repeats: int
) -> dict[str, Rate]:
    """Time contestants in turn, A B C A B C, so that a drifting machine is fair to all.

    Args:
        contestants: name -> a call that does the work once and returns how many images it did,
            or a `Timed`. On a GPU it must synchronize before it returns.
        repeats: counted rounds, after one that is not counted.

    Returns:
        Images per second of each, in the order given.
    """
    return interleave_values(
        {name: partial(timed_rate, work) for name, work in contestants.items()},
        repeats=repeats,
    )


def interleave_seconds(
    contestants: Mapping[str, Callable[[], object]], *, repeats: int
) -> dict[str, Rate]:
    """The same for work that is not counted in images: seconds of each."""
    return interleave_values(
        {name: partial(timed_seconds, work) for name, work in contestants.items()},
        repeats=repeats,
    )


def interleave_values(
    contestants: Mapping[str, Callable[[], float]], *, repeats: int
) -> dict[str, Rate]:
    """The same for work that measures itself and returns the figure."""
    values: dict[str, list[float]] = {name: [] for name in contestants}
    for counted in (False, *[True] * repeats):
        for name, measure in contestants.items():
            value = measure()
            if counted:
                values[name].append(value)
    return {name: Rate(tuple(found)) for name, found in values.items()}


def timed_rate(work: Callable[[], int | Timed]) -> float:
    """Images per second of one call."""
    started = time.perf_counter()
    done = work()
    seconds = time.perf_counter() - started
    return done.images / done.seconds if isinstance(done, Timed) else done / seconds


def timed_seconds(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
