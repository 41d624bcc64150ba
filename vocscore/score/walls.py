"""The walls of a run: how fast this machine reads, decodes and computes, each measured alone."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING

from shards.errors import BadPicture
from shards.pictures.picture import read_bytes
from vocscore.config import ScoreConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import torch

    from shards.sample import PictureRef
    from vocscore.pipeline.batch import Batch, Maker

SAMPLE_PICTURES = 256
SECONDS_A_WALL = 1.0


@dataclass(frozen=True)
class Ceilings:
    """Images per second of each stage, with the whole machine to itself.

    Attributes:
        read: bytes from the disk (or from the system's cache, where they lie after a run).
        decode: files to batches, reading included.
        model: ready batches to probabilities.
    """

    read: float
    decode: float
    model: float

    @property
    def wall(self) -> str:
        """The slowest stage: nothing end to end can be faster."""
        stages = asdict(self)
        return min(stages, key=lambda stage: stages[stage])

    def share(self, images_per_second: float) -> float:
        """How much of the wall a rate reaches, 0 to 1 and a little more by noise."""
        stages: dict[str, float] = asdict(self)
        return images_per_second / stages[self.wall]


def images_per_second(work: Callable[[], int]) -> float:
    """Repeat a call until a second is up; it returns how many images it did.

    Nothing is burnt in: this is measured after a run, when all is warm.
    """
    images, started, seconds = 0, time.perf_counter(), 0.0
    while seconds < SECONDS_A_WALL:
        images += work()
        seconds = time.perf_counter() - started
    return images / seconds


def measure_ceilings(
    pictures: Sequence[PictureRef], *, maker: Maker, model: Callable[[torch.Tensor], float]
) -> Ceilings | None:
    """Measure each stage alone for about a second.

    Args:
        pictures: a sample of the run's; at most `SAMPLE_PICTURES` are used.
        maker: the run's.
        model: the network's images per second on a ready batch, uint8 (N, 3, S, S).

    Returns:
        None where no picture of the sample can be decoded.
    """
    sample = list(pictures[:SAMPLE_PICTURES])
    ready = _first_good(maker.batches(sample))
    if ready is None:
        return None
    return Ceilings(
        read=images_per_second(lambda: sum(map(_read, sample))),
        decode=images_per_second(lambda: sum(_rows(batch) for batch in maker.batches(sample))),
        model=model(ready.images),
    )


def _first_good(batches: Iterable[Batch]) -> Batch | None:
    good = (batch for batch in batches if len(batch.rows))
    return next(islice(good, 1), None)


def _rows(batch: Batch) -> int:
    return len(batch.rows) + len(batch.failures)


def _read(ref: PictureRef) -> int:
    with suppress(BadPicture):  # it is read as far as it goes, and counts like another
        read_bytes(ref, max_pixels=ScoreConfig.max_pixels)
    return 1
