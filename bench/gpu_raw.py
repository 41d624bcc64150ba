"""Raw shards on a GPU: to batches on the device beside JPEGs, and to a CSV without a decoder."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench import product
from bench.models import enough, open_precisions, run_through
from bench.outcome import Outcome
from bench.raw import compare, count, read_shards
from bench.timing import Timed, consume, interleave, synchronize
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

IMAGES = 16_384
JPEGS = 4096
"""Of them, decoded per turn."""
COMPARED = 256
BACKBONE = "resnet18"
_ON_CPU = 32
"""Divides the number of images where there is no GPU."""
FILES, RAW, SHUFFLED = "vocscore, JPEGs", "vocscore, raw shards", "vocscore, raw shards, shuffled"
READ, COPY = "reading from memory", "copying to the device"
SCORE, MODEL, LOAD = "vocscore score, raw shards", "model ceiling", "loading ceiling"


def run(options: Options) -> Iterator[Outcome]:
    """Loading; then scoring with a small network, which loading may bound."""
    number = options.images or (IMAGES if options.on_gpu else IMAGES // _ON_CPU)
    images = replace(options, images=number).image_set(number)
    out = options.scratch / "gpu-raw"
    product.pack_images(images.folder, out, resize=Preprocess().size, raw=True)
    yield _loading(options, images, out)
    yield _scoring(options, images, out)


def _loading(options: Options, images: ImageSet, out: Path) -> Outcome:
    """Rates to batches on the device; pixels are compared first, to the bit."""
    refs, tars = load_split(out, "train").images, sorted(out.glob("*.tar"))
    order = np.random.default_rng(0).permutation(len(refs)).tolist()
    files, device = images.refs[:JPEGS], options.device
    with ExitStack() as stack:
        host = stack.enter_context(product.own_loader("host", Preprocess()))
        loader = stack.enter_context(
            product.own_loader(
                "dali", Preprocess(), batch_size=options.batch_size, device=options.device
            )
        )
        compare(host, files[:COMPARED], refs[:COMPARED])
        _compare_devices(loader, host, refs[:COMPARED])
        work: dict[str, Callable[[], int]] = {
            FILES: lambda: consume(loader.batches(files), device),
            RAW: lambda: _synchronized(partial(count, loader, refs), device),
            SHUFFLED: lambda: _synchronized(partial(count, loader, refs, order), device),
            READ: partial(read_shards, tars, len(refs)),
            COPY: _copying(options, len(refs)),
        }
        rates = interleave(work, repeats=options.repeats)
    faster = rates[RAW].median / rates[FILES].median
    slower = min((READ, COPY), key=lambda name: rates[name].median)
    return Outcome(
        contest="gpu",
        title=f"raw shards to uint8 batches of 256x256 on {options.where}",
        rates=rates,
        ceilings=dict.fromkeys((RAW, SHUFFLED), slower),
        key={**images.key, "part": "raw"},
        facts={**images.facts, "images": len(refs), "differences": "none: equal to the bit"},
        lines=(f"from memory: {faster:.1f} times JPEGs",),
    )


def _synchronized(work: Callable[[], int], device: str) -> int:
    images = work()
    synchronize(device)
    return images


def _compare_devices(loader: ImageLoader, host: ImageLoader, refs: Sequence[ImageRef]) -> None:
    """Raise ValueError unless what is on the device is what the host has read."""
    found, truth = (
        torch.cat([batch.images.cpu() for batch in one.batches(refs)]) for one in (loader, host)
    )
    if not found.equal(truth):
        raise ValueError("raw images on the device are not those of the host")


def _copying(options: Options, number: int) -> Callable[[], int]:
    """Copies batches of blank images, page-locked as those of raw shards are."""
    size = Preprocess().size
    images = batching.empty_images(options.batch_size, size, pinned=options.on_gpu).zero_()
    upload = Uploader(torch.device(options.device))
    batches = max(1, number // options.batch_size)

    def copy() -> int:
        for _ in range(batches):
            upload(images)
        synchronize(options.device)
        return batches * options.batch_size

    return copy


def _scoring(options: Options, images: ImageSet, out: Path) -> Outcome:
    """Rates from shards to CSV, beside loading and the network alone."""
    checkpoint, numbers = options.checkpoint(BACKBONE), itertools.count()
    _, card = checkpoint.load()
    opened, absent = open_precisions(
        checkpoint, ("default",), device=options.device, group=options.group
    )
    if absent:
        raise ValueError("; ".join(absent.values()))
    (runtime,) = opened.values()
    refs = load_split(out, "train").images

    def score() -> Timed:
        file = options.scratch / f"gpu-raw-{next(numbers)}.csv"
        report = product.score(
            out,
            file,
            model=checkpoint.run,
            batch_size=options.batch_size,
            device=options.device,
        )
        if report.images != len(refs) or report.errors:
            raise ValueError(f"{report.images} rows and {report.errors} errors of {len(refs)}")
        return Timed(report.images, report.seconds)

    with product.own_loader(
        "auto", card.preprocess, batch_size=options.batch_size, device=options.device
    ) as loader:
        first = next(iter(loader.batches(refs))).images
        some = enough(torch.split(first, options.group), runtime, number=len(refs))
        rates = interleave(
            {
                LOAD: lambda: consume(loader.batches(refs), options.device),
                MODEL: partial(run_through, runtime, some),
                SCORE: score,
            },
            repeats=options.repeats,
        )
    slower = min((LOAD, MODEL), key=lambda name: rates[name].median)
    return Outcome(
        contest="gpu",
        title=f"raw shards to CSV, {BACKBONE}, on {options.where}, {usable_cores()} cores",
        rates=rates,
        ceilings={SCORE: slower},
        key={**images.key, "part": "raw score", "backbone": BACKBONE},
        facts={**images.facts, "images": len(refs), "weights": checkpoint.weights},
    )
