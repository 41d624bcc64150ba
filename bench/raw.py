"""Raw shards to batches: beside the images they were made of, and beside memory and disk alone."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import local
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.outcome import Outcome, held
from bench.product import own_loader, pack_images
from bench.timing import Timed, consume, interleave, synchronize, timed_seconds
from shards.reader import load_split
from vocscore.machine import usable_cores
from vocscore.pipeline import batching
from vocscore.pipeline.preprocess import Preprocess
from vocscore.pipeline.upload import Uploader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bench.contests import Options
    from bench.images import ImageSet
    from shards.sample import ImageRef
    from vocscore.pipeline.batch import ImageLoader

IMAGES, ON_GPU = 3072, 512
"""`Options.image_set` multiplies the second."""
FEWER = 6
"""Divides the JPEGs of a turn: it lasts about half a second, as one of all raw images does."""
FASTER, OF_DISK = 10, 0.85
"""Goals: times as fast as decoding, from memory; share of the disk's rate, from a cold cache."""
_BLOCK_BYTES = 4 << 20
FILES, RAW, SHUFFLED = "vocscore, host, JPEGs", "vocscore, host, raw shards", "vocscore, shuffled"
READ, DISK, COLD = "reading from memory", "reading from disk", "vocscore, raw shards, cold"
COPY = "copying to the device"


def run(options: Options) -> Iterator[Outcome]:
    """Images per second to uint8 batches of 256x256 on the device; pixels are compared first."""
    images = options.image_set(ON_GPU if options.on_gpu else IMAGES)
    files, refs = images.refs[::FEWER], packed(images, options.scratch / "raw").refs
    tars = sorted((options.scratch / "raw").glob("*.tar"))
    order = np.random.default_rng(0).permutation(len(refs)).tolist()
    kind, batch, device = "dali" if options.on_gpu else "host", options.batch_size, options.device
    with (
        own_loader("host", Preprocess(), batch_size=batch) as host,
        own_loader(kind, Preprocess(), batch_size=batch, device=device) as loader,
    ):
        compare((host, files), (host, refs[::FEWER]))
        compare((host, refs[::FEWER]), (loader, refs[::FEWER]))
        load = partial(consume, loader, refs, device=device)
        read = partial(read_shards, tars, len(refs))
        work: dict[str, Callable[[], int | Timed]] = {
            FILES: partial(consume, loader, files, device=device),
            RAW: load,
            SHUFFLED: partial(load, order=order),
            READ: read,
            DISK: partial(_cold, tars, read),
            COLD: partial(_cold, tars, load),
        }
        if options.on_gpu:
            work[COPY] = copying(device, batch=batch, number=len(refs))
        rates = interleave(work, repeats=options.repeats)
    faster = rates[RAW].median / rates[FILES].median
    share = rates[COLD].median / rates[DISK].median
    slower = min({READ, COPY} & rates.keys(), key=lambda name: rates[name].median)
    yield Outcome(
        contest="raw",
        title=f"raw: raw shards to uint8 batches of 256x256 on {options.where}",
        rates=rates,
        ceilings={RAW: slower, SHUFFLED: slower, COLD: DISK},
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


def packed(images: ImageSet, folder: Path) -> ImageSet:
    """The images in raw shards, which are packed on the first call."""
    if not folder.exists():
        pack_images(images.folder, folder, resize=Preprocess().size, raw=True)
    return replace(images, folder=folder, refs=list(load_split(folder, "train").images))


def compare(*parts: tuple[ImageLoader, Sequence[ImageRef]]) -> None:
    """Raise ValueError unless both loaders give the same pixels, to the bit."""
    found = []
    for loader, refs in parts:
        batches = list(loader.batches(refs))
        order = np.argsort(np.concatenate([batch.rows for batch in batches]))
        found.append(torch.cat([batch.images.cpu() for batch in batches])[order])
    if not found[0].equal(found[1]):
        raise ValueError("raw shards have other pixels than the images they were made of")


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


def copying(device: str, *, batch: int, number: int) -> Callable[[], int]:
    """Copies batches of blank images, page-locked as those of raw shards are."""
    pinned = device != "cpu"
    images = batching.empty_images(batch, Preprocess().size, pinned=pinned).zero_()
    upload, batches = Uploader(torch.device(device)), max(1, number // batch)

    def copy() -> int:
        for _ in range(batches):
            upload(images)
        synchronize(device)
        return batches * batch

    return copy


def _cold(tars: Sequence[Path], work: Callable[[], int]) -> Timed:
    """Do some work after the shards were dropped from the page cache."""
    for tar in tars:
        with tar.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    found: list[int] = []
    seconds = timed_seconds(lambda: found.append(work()))
    return Timed(found[0], seconds)
