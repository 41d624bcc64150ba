"""Fair timing: one round that is not counted, turns taken in rotation, medians."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vocscore.pipeline.batch import Batch


@dataclass(frozen=True)
class Rate:
    """What one contestant reached: one value per repeat, usually images per second."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """(largest - smallest) / median: how much the machine drifted."""
        return (max(self.values) - min(self.values)) / self.median

    def times(self, factor: float) -> Rate:
        """The same in another unit."""
        return Rate(tuple(value * factor for value in self.values))


@dataclass(frozen=True)
class Timed:
    """Work that read the clock itself, to leave its preparation out."""

    images: int
    seconds: float


def interleave(
    contestants: Mapping[str, Callable[[], int | Timed]], *, repeats: int
) -> dict[str, Rate]:
    """Images per second of contestants in turn, A B C A B C: a drifting machine is fair to all.

    A call does the work once and returns how many images it did, or a `Timed`; on a GPU it must
    synchronize before it returns. `repeats` rounds count, after one that does not.
    """
    return interleave_values(
        {name: partial(timed_rate, work) for name, work in contestants.items()}, repeats=repeats
    )


def interleave_seconds(
    contestants: Mapping[str, Callable[[], object]], *, repeats: int
) -> dict[str, Rate]:
    """Like `interleave`, for work that is not counted in images: seconds of each."""
    return interleave_values(
        {name: partial(timed_seconds, work) for name, work in contestants.items()}, repeats=repeats
    )


def interleave_values(
    contestants: Mapping[str, Callable[[], float]], *, repeats: int
) -> dict[str, Rate]:
    """Like `interleave`, for work that returns its own figure."""
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


def synchronize(device: str) -> None:
    """Wait for a GPU; nothing on the CPU."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def consume(batches: Iterable[Batch], device: str) -> int:
    """Take batches of a loader and throw them away; return how many images they held."""
    images = sum(len(batch.rows) for batch in batches)
    synchronize(device)
    return images


def timed_seconds(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
