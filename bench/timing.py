"""Fair timing: a warm-up round, contestants in rotation, medians."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shards.sample import ImageRef
    from vocscore.pipeline.batch import ImageLoader


@dataclass(frozen=True)
class Rate:
    """The measurements of one contestant: one value per repeat, usually images per second."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value that is reported."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """(largest - smallest) / median, a measure of the machine's drift."""
        return (max(self.values) - min(self.values)) / self.median

    def times(self, factor: float) -> Rate:
        """The values in another unit."""
        return Rate(tuple(value * factor for value in self.values))


@dataclass(frozen=True)
class Timed:
    """Work that timed itself, to exclude its preparation."""

    images: int
    seconds: float


def interleave(
    contestants: Mapping[str, Callable[[], int | Timed]], *, repeats: int
) -> dict[str, Rate]:
    """Images per second of contestants in rotation (A B C A B C), so drift affects all equally.

    A call does the work once and returns the number of images, or a `Timed`; on a GPU it must
    synchronize before it returns. `repeats` rounds count, after one warm-up round.
    """
    return interleave_values(
        {name: partial(timed_rate, work) for name, work in contestants.items()}, repeats=repeats
    )


def interleave_seconds(
    contestants: Mapping[str, Callable[[], object]], *, repeats: int
) -> dict[str, Rate]:
    """Like `interleave`, in seconds per call."""
    return interleave_values(
        {name: partial(timed_seconds, work) for name, work in contestants.items()}, repeats=repeats
    )


def interleave_values(
    contestants: Mapping[str, Callable[[], float]], *, repeats: int
) -> dict[str, Rate]:
    """Like `interleave`, for work that returns its own measurement."""
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
    """Wait for a GPU; do nothing on the CPU."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def consume(
    loader: ImageLoader,
    refs: Sequence[ImageRef],
    *,
    device: str = "cpu",
    order: Sequence[int] | None = None,
    bad: int = 0,
) -> int:
    """Load all images, and wait for the device; return their number.

    Raises:
        ValueError: an image was lost, or other than `bad` images have errors.
    """
    rows = failures = 0
    for batch in loader.batches(refs, order=order):
        rows += len(batch.rows)
        failures += len(batch.failures)
    synchronize(device)
    if failures != bad or rows + failures != len(refs):
        raise ValueError(f"{failures} bad of {rows + failures}, not {bad} of {len(refs)}")
    return len(refs)


def timed_seconds(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
