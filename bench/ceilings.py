"""What each stage reaches alone, with the whole machine: nothing end to end can be faster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.matrix import PRECISIONS as PRODUCTS
from bench.matrix import best_product
from bench.outcome import Outcome
from bench.runtimes import enough, groups, open_precisions, run_through
from bench.timing import Rate, interleave, interleave_seconds, interleave_values
from shards import atomic
from shards.classes import VOC_CLASSES
from shards.images import image_file
from vocscore.config import ScoreConfig
from vocscore.machine import usable_cores
from vocscore.pipeline.host import HostLoader
from vocscore.pipeline.preprocess import Preprocess
from vocscore.scoring.output.formats.choice import choose
from vocscore.scoring.output.formats.selection import EVERYTHING
from vocscore.scoring.output.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.subjects import Subject
    from shards.sample import ImageRef

WRITTEN_BYTES = 64_000_000
WRITTEN_ROWS = 10_000
FORMATS = ("csv", "jsonl")
READ = "read"
DECODE = "decode (libjpeg-turbo, strict)"
BATCH = "decode + resize + batch"


def measure_images(images: Sequence[ImageRef], *, repeats: int) -> Outcome:
    """Reading, decoding, and making batches, each with a thread a core.

    Reading is out of the system's cache, where the files lie after the first round.
    """
    cores = usable_cores()
    read = partial(image_file.read_bytes, max_pixels=ScoreConfig.max_pixels)
    data = [read(ref) for ref in images]
    loader = HostLoader(
        Preprocess(),
        batch_size=ScoreConfig.batch_size,
        threads=cores,
        max_pixels=ScoreConfig.max_pixels,
    )
    with ThreadPoolExecutor(cores) as pool, loader:
        rates = interleave(
            {
                READ: lambda: sum(1 for _ in pool.map(read, images)),
                DECODE: lambda: sum(pool.map(_decoded, data)),
                BATCH: lambda: sum(len(batch.rows) for batch in loader.batches(images)),
            },
            repeats=repeats,
        )
    size = sum(map(len, data)) / len(data)
    return Outcome(
        contest="ceilings",
        title=f"ceilings of images, {cores} threads",
        rates=rates,
        baseline=BATCH,
        walls={BATCH: DECODE},
        key={"part": "pictures"},
        facts={"bytes_a_picture": size, "threads": cores},
        lines=(f"read from the cache: {rates[READ].median * size / 1e6:.0f} MB/s",),
    )


def _decoded(data: bytes) -> int:
    return len(image_file.decode(data, max_pixels=ScoreConfig.max_pixels)[:1])


def measure_models(subjects: Sequence[Subject], *, repeats: int, images: int) -> Outcome:
    """The network alone, of each backbone in each precision of `score`.

    Args:
        subjects: the backbones.
        repeats: counted rounds.
        images: sent through a network in each.
    """
    work: dict[str, Callable[[], int]] = {}
    absent: dict[str, str] = {}
    for subject in subjects:
        at = np.arange(images) % len(subject.images)
        ready = list(groups(subject.images[at]))
        runtimes, missing = open_precisions(subject)
        for name, runtime in runtimes.items():
            some = enough(ready, runtime, images=images)
            work[f"{subject.backbone}, {name}"] = partial(run_through, runtime, some)
        absent |= {f"{subject.backbone}, {name}": reason for name, reason in missing.items()}
    return Outcome(
        contest="ceilings",
        title="ceilings of the network: ready images to probabilities on the CPU",
        rates=interleave(work, repeats=repeats),
        absent=absent,
        key={"part": "models"},
    )


def measure_products(*, repeats: int) -> Outcome:
    """The largest matrix product."""
    work = {kind: partial(best_product, kind) for kind in PRODUCTS}
    return Outcome(
        contest="ceilings",
        title="ceilings of arithmetic: the fastest of several square matrix products",
        rates=interleave_values(work, repeats=repeats),
        unit="GFLOP/s",
        key={"part": "matrix product"},
    )


def measure_writing(folder: Path, *, repeats: int) -> tuple[Outcome, Outcome]:
    """Bytes to the disk, and rows of predictions as `score` writes them; both with fsync.

    Args:
        folder: made here, on the disk to measure.
        repeats: counted rounds.
    """
    folder.mkdir()
    block = np.random.default_rng(0).bytes(WRITTEN_BYTES)
    seconds = {"write": lambda: atomic.write(folder / "block", block)}
    found = interleave_seconds(seconds, repeats=repeats)
    bytes_ = Outcome(
        contest="ceilings",
        title=f"ceiling of writing: {WRITTEN_BYTES // 10**6} MB and fsync",
        rates={
            name: Rate(tuple(WRITTEN_BYTES / 1e6 / s for s in r.values))
            for name, r in found.items()
        },
        unit="MB/s",
        key={"part": "write"},
    )
    rows = Outcome(
        contest="ceilings",
        title=f"ceiling of writing: {WRITTEN_ROWS} rows of {len(VOC_CLASSES)} classes and fsync",
        rates=interleave(
            {name: _row_writer(folder / f"rows.{name}") for name in FORMATS}, repeats=repeats
        ),
        unit="rows/s",
        key={"part": "rows"},
    )
    return bytes_, rows


def _row_writer(file: Path) -> Callable[[], int]:
    rng = np.random.default_rng(0)
    names = [f"folder/{number:09d}.jpg" for number in range(WRITTEN_ROWS)]
    rows = Rows(names, rng.random((WRITTEN_ROWS, len(VOC_CLASSES)), np.float32), {})
    form = choose(file, folder_format=None).open(VOC_CLASSES, 0.5, selection=EVERYTHING, origin={})

    def write() -> int:
        with atomic.replacing(file) as opened:
            form.write(opened, rows)
        return WRITTEN_ROWS

    return write
