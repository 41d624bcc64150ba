"""Measures how fast this machine reads, decodes and runs the network, each stage alone.

A ceiling is the rate of one stage with the whole machine to itself. The stage whose ceiling is
closest to the rate of the run is the bottleneck.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from shards.errors import BadImage
from shards.images.image_file import read_bytes
from vocscore.config.compute import MAX_PIXELS
from vocscore.machine import usable_cores
from vocscore.pipeline.fetch import fetched, needs_fetching

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    import torch

    from shards.sample import ImageRef
    from vocscore.pipeline.batch import Batch, ImageLoader

SAMPLE_IMAGES: Final = 256
SECONDS_PER_STAGE = 1.0
_STAGES: Final = {"read": "reading", "decode": "decoding", "model": "inference"}
"""Names for the printed summary, by the keys of its JSON."""


@dataclass(frozen=True)
class Ceilings:
    """Images per second of each stage, with the whole machine to itself.

    Attributes:
        read: reading the bytes from the disk (after a run, usually from the page cache).
        decode: files to batches, reading included.
        model: decoded batches to probabilities.
    """

    read: float
    decode: float
    model: float

    def __str__(self) -> str:
        """Return text for the summary: 'reading 9000, decoding 1200, inference 600'."""
        return ", ".join(f"{_STAGES[name]} {rate:.0f}" for name, rate in asdict(self).items())

    def reached(self, images_per_second: float, *, good: float = 1.0) -> Reached:
        """Compare the rate of a run with the ceilings.

        Args:
            images_per_second: rate of the run, images with errors included.
            good: share of its images that could be decoded, 0 to 1; the model sees no others.
        """
        shares = {
            "read": images_per_second / self.read,
            "decode": images_per_second / self.decode,
            "model": images_per_second * good / self.model,
        }
        bottleneck = max(shares, key=lambda stage: shares[stage])
        low = tuple(stage for stage, share in shares.items() if share > 1)
        return Reached(bottleneck, None if low else shares[bottleneck], low)


@dataclass(frozen=True, slots=True)
class Reached:
    """A run compared with its ceilings.

    Attributes:
        bottleneck: the stage closest to its ceiling; the whole run cannot be faster than it.
        share: the rate of the run divided by that ceiling, 0 to 1; None if `too_low` is not empty.
        too_low: stages whose ceiling is below the rate of the run, so it was measured too low: on
            too few images, on images that are slower than the rest, or while the machine was busy.
    """

    bottleneck: str
    share: float | None
    too_low: tuple[str, ...]

    def __str__(self) -> str:
        """Return text for the summary: 'decoding; reached 94% of it', or why it is unknown."""
        if self.share is None:
            stages = " and ".join(_STAGES[stage] for stage in self.too_low)
            return (
                f"unknown; the run was faster than the ceiling of {stages}, which was measured "
                "too low (few images, or images slower than the rest)"
            )
        return f"{_STAGES[self.bottleneck]}; reached {self.share:.0%} of it"

    def to_json(self) -> dict[str, object]:
        """Return plain values, with the keys of a summary."""
        return {
            "wall": None if self.too_low else self.bottleneck,
            "share_of_wall": self.share,
            "ceilings_too_low": list(self.too_low),
        }


def images_per_second(work: Callable[[], int]) -> float:
    """Repeat `work` for a second; each call returns the number of images it processed.

    There is no warm-up: this is measured after a run, when everything is warm.
    """
    images, started, seconds = 0, time.perf_counter(), 0.0
    while seconds < SECONDS_PER_STAGE:
        images += work()
        seconds = time.perf_counter() - started
    return images / seconds


def measure_ceilings(
    refs: Sequence[ImageRef], *, loader: ImageLoader, model: Callable[[torch.Tensor], float]
) -> Ceilings | None:
    """Measure each stage alone for about a second.

    Args:
        refs: a sample of the run's images; at most `SAMPLE_IMAGES` are used. Fewer are
            repeated: threads without work would lower the ceiling.
        loader: the loader of the run.
        model: measures the network's images per second on a batch, uint8 (N, 3, S, S).

    Returns:
        The ceilings, or None if no image of the sample can be decoded.
    """
    sample = list(refs[:SAMPLE_IMAGES])
    fetching = None
    if any(map(needs_fetching, sample)):  # once: each request is paid for
        sample, fetching = _fetched(sample)
    ready = _first_good(loader.batches(sample))
    if ready is None:
        return None
    repeated = sample * -(-SAMPLE_IMAGES // len(sample))
    decode = decode_rate(repeated, loader)
    return Ceilings(read=fetching or _read_rate(repeated), decode=decode, model=model(ready.images))


def decode_rate(sample: Sequence[ImageRef], loader: ImageLoader) -> float:
    """Measure for about a second how many images per second a loader reads and decodes."""
    with closing(_decoded(loader, sample)) as decoded:
        return images_per_second(lambda: next(decoded))


def _fetched(sample: Sequence[ImageRef]) -> tuple[list[ImageRef], float]:
    """Fetch a sample into memory; return it and the images per second."""
    started = time.perf_counter()
    with fetched(sample) as ahead:
        here = list(ahead)
    return here, len(here) / (time.perf_counter() - started)


def _first_good(batches: Iterable[Batch]) -> Batch | None:
    good = (batch for batch in batches if len(batch.rows))
    return next(islice(good, 1), None)


def _decoded(loader: ImageLoader, sample: Sequence[ImageRef]) -> Generator[int]:
    """Decode a sample over and over; yield the images of each batch, bad ones included."""
    while True:
        for batch in loader.batches(sample):
            yield len(batch.rows) + len(batch.failures)


def _read_rate(sample: Sequence[ImageRef]) -> float:
    """Read in one thread, then in one thread per core, and return the higher rate.

    From memory one thread is faster because of the GIL; from a network many threads are. Nothing
    is compared with hashes, which is not reading.
    """
    sample = [replace(ref, sha256=None) for ref in sample]
    one = images_per_second(lambda: sum(map(_read, sample)))
    cores = usable_cores()
    if cores == 1:
        return one
    with ThreadPoolExecutor(cores) as pool:
        return max(one, images_per_second(lambda: sum(pool.map(_read, sample))))


def _read(ref: ImageRef) -> int:
    with suppress(BadImage):  # a truncated file is read up to its end, and counts
        read_bytes(ref, max_pixels=MAX_PIXELS)
    return 1
