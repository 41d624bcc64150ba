"""Fair timing: burn in, interleave, medians."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Rate:
    """Images per second of one contestant, one value a repeat."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """(largest - smallest) / median: how far the machine drifted."""
        return (max(self.values) - min(self.values)) / self.median


def interleave(contestants: Mapping[str, Callable[[], int]], *, repeats: int) -> dict[str, Rate]:
    """Time contestants in turn, A B C A B C, so that a drifting machine is fair to all.

    Args:
        contestants: name -> a call that does the work once and returns how many images it did.
            On a GPU it must synchronise before it returns.
        repeats: counted rounds, after one that is not counted.

    Returns:
        Images per second of each, in the order given.
    """
    values: dict[str, list[float]] = {name: [] for name in contestants}
    for counted in (False, *[True] * repeats):
        for name, work in contestants.items():
            started = time.perf_counter()
            images = work()
            seconds = time.perf_counter() - started
            if counted:
                values[name].append(images / seconds)
    return {name: Rate(tuple(rates)) for name, rates in values.items()}
