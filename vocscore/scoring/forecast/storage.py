"""Reads images to see how fast the storage is: one after the other, and many at once."""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shards.errors import BadImage
from shards.images.image_file import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shards.sample import ImageRef

MANY: Final = 32
"""Threads that read at the same time, as many as wait for a network storage in a run."""


@dataclass(frozen=True, slots=True)
class Reads:
    """Images that were read by some threads.

    Attributes:
        threads: how many read at the same time.
        images_per_second: of all together.
        bytes_per_second: of all together.
        latency: median time of one image in seconds.
    """

    threads: int
    images_per_second: float
    bytes_per_second: float
    latency: float


@dataclass(frozen=True, slots=True)
class Storage:
    """How fast images are read where they lie.

    Attributes:
        one: by one thread.
        many: by `MANY` threads.
        bytes_per_image: mean size.
    """

    one: Reads
    many: Reads
    bytes_per_image: float

    @property
    def images_per_second(self) -> float:
        """The higher rate: from memory one thread is faster, from a network many are."""
        return max(self.one.images_per_second, self.many.images_per_second)


def measure_storage(refs: Iterator[ImageRef], *, max_pixels: int, seconds: float) -> Storage:
    """Read images, each as a whole.

    Args:
        refs: never ends.
        max_pixels: as for `read_bytes`.
        seconds: of each of the two measurements.
    """
    found: dict[int, Reads] = {}
    sizes: list[int] = []
    for threads in (1, MANY):
        started = time.perf_counter()
        reads = _read_for(seconds, refs, threads=threads, max_pixels=max_pixels)
        took = time.perf_counter() - started
        some = [size for size, _ in reads]
        latency = statistics.median(waited for _, waited in reads)
        found[threads] = Reads(threads, len(reads) / took, sum(some) / took, latency)
        sizes += some
    return Storage(found[1], found[MANY], statistics.fmean(sizes))


def _read_for(
    seconds: float, refs: Iterator[ImageRef], *, threads: int, max_pixels: int
) -> list[tuple[int, float]]:
    """Return the size of each image in bytes and the time that it took, in seconds."""
    until, lock = time.perf_counter() + seconds, threading.Lock()

    def work() -> list[tuple[int, float]]:
        reads: list[tuple[int, float]] = []
        while not reads or time.perf_counter() < until:
            with lock:
                ref = next(refs)
            started = time.perf_counter()
            size = _read(ref, max_pixels)
            reads.append((size, time.perf_counter() - started))
        return reads

    with ThreadPoolExecutor(threads) as pool:
        done = [pool.submit(work) for _ in range(threads)]
        return [one for reads in done for one in reads.result()]


def _read(ref: ImageRef, max_pixels: int) -> int:
    """Read one image; return its size, for a bad one as far as it is known."""
    try:
        # not compared with a hash, which would not be the storage's time
        return len(read_bytes(replace(ref, sha256=None), max_pixels=max_pixels))
    except BadImage:
        if ref.size >= 0:
            return ref.size
        with suppress(OSError, ValueError):
            return Path(ref.file).stat().st_size
        return 0
