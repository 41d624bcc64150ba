"""The rate of each stage alone on the whole machine; 'models' measures the network."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.outcome import Outcome
from bench.product import own_loader, pack_images, rows_format
from bench.timing import consume, interleave
from shards import atomic
from shards.classes import VOC_CLASSES
from shards.images import image_file
from shards.reader import load_split
from vocscore.config.compute import MAX_PIXELS
from vocscore.machine import usable_cores
from vocscore.pipeline.preprocess import Preprocess
from vocscore.scoring.output.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.contests import Options

WRITTEN_ROWS = 10_000
READ = "read"
DECODE = "decode (libjpeg-turbo, strict)"
BATCH = "decode + resize + batch"
LOOK = "strict look"
HASH = "SHA-256, instead of it for verified shards"
PACKED = "decode + resize + batch, verified shards"


def run(options: Options) -> Iterator[Outcome]:
    """Ceilings of images to batches, then of rows to disk."""
    yield measure_images(options)
    yield measure_rows(options.scratch, repeats=options.repeats)


def measure_images(options: Options) -> Outcome:
    """Rates of reading (from the page cache), decoding and batching, with a thread per core.

    Before DALI decodes an image it is looked at strictly, or compared with its hash; shards are
    batched as their images are from files, but for that.
    """
    images, cores = options.image_set(256), usable_cores()
    refs, most = images.refs, MAX_PIXELS
    read = partial(image_file.read_bytes, max_pixels=most)
    decode = partial(image_file.decode, max_pixels=most)
    data = [read(ref) for ref in refs]
    size = sum(map(len, data)) / len(data)
    look = partial(image_file.check, max_pixels=most, whole=True)
    pack_images(images.folder, options.scratch / "verified")
    packed = load_split(options.scratch / "verified", "train").images
    loader = own_loader("auto", Preprocess(), batch_size=options.batch_size, device=options.device)
    with ThreadPoolExecutor(cores) as pool, loader:
        rates = interleave(
            {
                READ: lambda: sum(1 for _ in pool.map(read, refs)),
                DECODE: lambda: sum(pool.map(lambda one: len(decode(one)[:1]), data)),
                LOOK: lambda: sum(1 for _ in pool.map(look, data)),
                HASH: lambda: sum(1 for _ in pool.map(_hashed, data)),
                BATCH: lambda: consume(loader, refs, device=options.device),
                PACKED: lambda: consume(loader, packed, device=options.device),
            },
            repeats=options.repeats,
        )
    look_us, hash_us = (cores / rates[name].median * 1e6 for name in (LOOK, HASH))
    return Outcome(
        contest="ceilings",
        title=f"ceilings of images on {options.where}, {cores} threads",
        rates=rates,
        ceilings={BATCH: DECODE, PACKED: DECODE},
        key={**images.key, "part": "pictures"},
        facts={**images.facts, "bytes_a_picture": size, "threads": cores},
        lines=(
            f"read from the cache: {rates[READ].median * size / 1e6:.0f} MB/s",
            f"strict look: {look_us:.0f} us of a core; SHA-256: {hash_us:.0f} us",
        ),
    )


def _hashed(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def measure_rows(folder: Path, *, repeats: int) -> Outcome:
    """Rows of predictions per second to the disk of `folder`, written as `score` does."""
    files = {name: folder / f"rows.{name}" for name in ("csv", "jsonl")}
    return Outcome(
        contest="ceilings",
        title=f"ceiling of writing: {WRITTEN_ROWS} rows of {len(VOC_CLASSES)} classes and fsync",
        rates=interleave({n: _row_writer(file) for n, file in files.items()}, repeats=repeats),
        unit="rows/s",
        key={"part": "rows"},
    )


def _row_writer(file: Path) -> Callable[[], int]:
    rng = np.random.default_rng(0)
    names = [f"folder/{number:09d}.jpg" for number in range(WRITTEN_ROWS)]
    rows = Rows(names, rng.random((WRITTEN_ROWS, len(VOC_CLASSES)), np.float32), {})
    form = rows_format(file, VOC_CLASSES)

    def write() -> int:
        with atomic.replacing(file) as opened:
            form.write(opened, rows)
        return WRITTEN_ROWS

    return write
