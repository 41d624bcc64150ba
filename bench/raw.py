"""Raw shards to batches: beside the images they were made of, and beside the disk alone."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import local
from typing import TYPE_CHECKING

import numpy as np

from bench.outcome import Outcome, held
from bench.product import own_loader, pack_images
from bench.timing import Timed, interleave, timed_seconds
from shards.reader import load_split
from vocscore.machine import usable_cores
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bench.contests import Options
    from shards.sample import ImageRef
    from vocscore.pipeline.batch import ImageLoader

IMAGES = 3072
JPEGS = 512
"""Of them, decoded per turn: a turn lasts about half a second, as one of all raw images does."""
FASTER, OF_DISK = 10, 0.85
"""Goals: times as fast as decoding, from memory; share of the disk's rate, from a cold cache."""
_BLOCK_BYTES = 4 << 20
FILES, RAW, SHUFFLED = "vocscore, host, JPEGs", "vocscore, host, raw shards", "vocscore, shuffled"
READ, DISK, COLD = "reading from memory", "reading from disk", "vocscore, raw shards, cold"


def run(options: Options) -> Iterator[Outcome]:
    """Images per second to uint8 batches of 256x256; pixels are compared first."""
    images = options.image_set(IMAGES)
    out = options.scratch / "raw"
    pack_images(images.folder, out, resize=256, raw=True)
    refs, tars = load_split(out, "train").images, sorted(out.glob("*.tar"))
    order = np.random.default_rng(0).permutation(len(refs)).tolist()
    with ExitStack() as stack:
        loader = own_loader("host", Preprocess())
        stack.callback(loader.close)
        compare(loader, images.refs[:JPEGS], refs[:JPEGS])
        load = partial(count, loader, refs)
        rates = interleave(
            {
                FILES: partial(count, loader, images.refs[:JPEGS]),
                RAW: load,
                SHUFFLED: partial(count, loader, refs, order),
                READ: partial(read_shards, tars, len(refs)),
                DISK: partial(_cold, tars, partial(read_shards, tars, len(refs))),
                COLD: partial(_cold, tars, load),
            },
            repeats=options.repeats,
        )
    faster = rates[RAW].median / rates[FILES].median
    share = rates[COLD].median / rates[DISK].median
    yield Outcome(
        contest="raw",
        title="raw: raw shards to uint8 batches of 256x256 on the CPU",
        rates=rates,
        ceilings={RAW: READ, SHUFFLED: READ, COLD: DISK},
        key=images.key,
        facts={
            **images.facts,
            "images": len(refs),
            "bytes": sum(tar.stat().st_size for tar in tars),
            "differences": "none: equal to the bit",
        },
        lines=(
            f"from memory: {faster:.1f} times JPEGs (goal {FASTER}: {held(faster >= FASTER)})",
            f"cold: {share:.0%} of the disk (goal {OF_DISK:.0%}: {held(share >= OF_DISK)})",
        ),
    )


def compare(loader: ImageLoader, files: Sequence[ImageRef], raw: Sequence[ImageRef]) -> None:
    """Raise ValueError unless both have the same pixels, to the bit."""
    for one, other in zip(loader.batches(files), loader.batches(raw), strict=True):
        if not (one.rows == other.rows).all() or not one.images.equal(other.images):
            raise ValueError("raw shards have other pixels than the images they were made of")


def count(loader: ImageLoader, refs: Sequence[ImageRef], order: list[int] | None = None) -> int:
    """Load all images; return their number."""
    found = sum(len(batch.rows) for batch in loader.batches(refs, order=order))
    if found != len(refs):
        raise ValueError(f"{found} of {len(refs)} images were loaded")
    return found


def read_shards(tars: Sequence[Path], images: int) -> int:
    """Read the shards in blocks, with a thread per core, into memory that is used again."""
    jobs = [(tar, at) for tar in tars for at in range(0, tar.stat().st_size, _BLOCK_BYTES)]
    own = local()

    def read(job: tuple[Path, int]) -> None:
        if not hasattr(own, "block"):
            own.block = bytearray(_BLOCK_BYTES)
        with job[0].open("rb", buffering=0) as tar:
            os.preadv(tar.fileno(), [own.block], job[1])

    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(read, jobs))
    return images


def _cold(tars: Sequence[Path], work: Callable[[], int]) -> Timed:
    """Do some work after the shards were dropped from the page cache."""
    for tar in tars:
        with tar.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    found: list[int] = []
    seconds = timed_seconds(lambda: found.append(work()))
    return Timed(found[0], seconds)
