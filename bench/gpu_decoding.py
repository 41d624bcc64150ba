"""Where JPEGs are decoded fastest: on the engines of a GPU, or by the cores beside it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.outcome import Outcome, held
from bench.product import own_loader
from bench.timing import consume, interleave, synchronize
from shards.images import image_file, jpeg
from vocscore.config.compute import MAX_PIXELS
from vocscore.machine import usable_cores
from vocscore.pipeline.dali import DaliLoader
from vocscore.pipeline.dali_decoder import DEFAULT_TUNING, Tuning
from vocscore.pipeline.gpu_engines import jpeg_engines
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from bench.contests import Options
    from bench.timing import Rate
    from vocscore.pipeline.dali_decoder import Decoder

IMAGES = {"mosaic": 256, "voc": 4096, "medium": 512}
"""Kind -> images per turn on a GPU. The most important kind first."""
_ON_CPU = 64
"""Divides the number of images where there is no GPU."""
BATCH = 64
"""12 megapixels are 36 MB each when decoded, and three batches are in the graph."""
LOADS = (DEFAULT_TUNING.hw_decoder_load, 1.0)
MOST_MEAN = 2.0
"""Gray levels between both, as a mean: other decoders, and a decode at 1/8."""
HOST, ROUTED, CHECK = "vocscore, host", "vocscore, DALI", "check of every coefficient, cores"


def graph(load: float) -> str:
    """The name of the graph alone, with a share of the images for the engines."""
    return f"graph alone, {load:.0%} to the engines"


def run(options: Options) -> Iterator[Outcome]:
    """An outcome per kind of images: all that the graph could decode, wherever they are decoded."""
    for kind, most in IMAGES.items():
        number = options.images or (most if options.on_gpu else most // _ON_CPU)
        yield compare_decoders(replace(options, kind=kind, images=number))


def compare_decoders(options: Options) -> Outcome:
    """Rates of one kind by the host, by the graph, and by the loader, which chooses."""
    images, device, engines = options.image_set(0), options.device, jpeg_engines(options.device)
    data = [Path(ref.file).read_bytes() for ref in images.refs]
    heads = map(image_file.probe, data)
    pixels = sum(head.width * head.height for head in heads) / len(data)
    with ExitStack() as stack:
        host, routed = (
            stack.enter_context(own_loader(name, Preprocess(), batch_size=BATCH, device=device))
            for name in ("host", "dali")
        )
        decoders = {load: _decoder(load, device, stack) for load in LOADS}
        first = next(iter(host.batches(images.refs[:BATCH]))).images
        decoders[1.0].submit(data[:BATCH])
        apart = mean_difference(decoders[1.0].collect(), first)
        pool = stack.enter_context(ThreadPoolExecutor(usable_cores()))
        work: dict[str, Callable[[], int]] = {
            HOST: partial(consume, host, images.refs, device=device),
            ROUTED: partial(consume, routed, images.refs, device=device),
            CHECK: lambda: sum(1 for _ in pool.map(jpeg.check, data)),
        }
        for load, decoder in decoders.items():
            work[graph(load)] = partial(decode, decoder, data, device)
        rates = interleave(work, repeats=options.repeats)
    return Outcome(
        contest="gpu",
        title=f"JPEGs to batches of 256x256 on {options.where}, and on {usable_cores()} cores",
        rates=rates,
        key={**images.key, "part": "engines"},
        facts={
            **images.facts,
            "pixels": pixels,
            "jpeg_engines": engines,
            "mean_gray_levels": apart,
        },
        lines=tuple(_lines(rates, pixels, engines)) if options.on_gpu else (),
    )


def _lines(rates: dict[str, Rate], pixels: float, engines: int | None) -> Iterator[str]:
    best = max(rates[graph(load)].median for load in LOADS)
    host, routed = rates[HOST].median, rates[ROUTED].median
    yield f"JPEG engines: {'unknown' if engines is None else engines}"
    yield f"graph alone: {best * pixels / 1e9:.2f} gigapixels/s"
    # the graph needs the check: the slower of the two bounds it
    both = min(best, rates[CHECK].median)
    faster = "the host" if host > both else "the graph with the check"
    yield f"faster: {faster} ({host:.0f} and {both:.0f} images/s)"
    share = routed / max(host, both)
    yield f"chosen: {share:.0%} of the faster one (at least 90%: {held(share >= 0.9)})"


def decode(decoder: Decoder, data: Sequence[bytes], device: str) -> int:
    """Decode files by the graph alone, as many batches in flight as the loader has.

    Raises:
        ValueError: the graph failed.
    """
    batches = [list(data[at : at + BATCH]) for at in range(0, len(data), BATCH)]
    late = DEFAULT_TUNING.in_flight
    for place in range(len(batches) + late):
        if place < len(batches):
            decoder.submit(batches[place])
        if place >= late:
            found = decoder.collect()
            if found is None or len(found) != len(batches[place - late]):
                raise ValueError("DALI could not decode a batch")
    synchronize(device)
    return len(data)


def _decoder(load: float, device: str, stack: ExitStack) -> Decoder:
    """The graph of a loader, which is not used otherwise."""
    loader = DaliLoader(
        Preprocess(),
        batch_size=BATCH,
        threads=usable_cores(),
        device=device,
        max_pixels=MAX_PIXELS,
        tuning=Tuning(hw_decoder_load=load),
    )
    stack.callback(loader.close)
    return loader.open_decoder()


def mean_difference(found: torch.Tensor | None, truth: torch.Tensor) -> float:
    """Compare a batch of the graph's with the host's, in gray levels.

    Raises:
        ValueError: they are not the same images.
    """
    if found is None or len(found) != len(truth):
        raise ValueError("DALI could not decode the images")
    apart = float((found.cpu().short() - truth.cpu().short()).abs().float().mean())
    if not apart <= MOST_MEAN:
        raise ValueError(f"{apart:.2f} gray levels between the graph and the host")
    return apart
