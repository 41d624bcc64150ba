"""Where JPEGs are decoded fastest: on the engines of a GPU, or by the cores beside it."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bench.outcome import Outcome, held
from bench.product import own_loader
from bench.timing import consume, interleave, synchronize
from shards.images import image_file, jpeg
from shards.sample import ImageRef
from vocscore.config.compute import MAX_PIXELS
from vocscore.machine import usable_cores
from vocscore.pipeline.dali import DaliLoader
from vocscore.pipeline.dali_decoder import DEFAULT_TUNING, Tuning
from vocscore.pipeline.gpu_engines import jpeg_engines
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.contests import Options
    from bench.timing import Rate
    from vocscore.pipeline.batch import ImageLoader
    from vocscore.pipeline.dali_decoder import Decoder

IMAGES = {"mosaic": 256, "voc": 4096, "medium": 512}
"""Kind -> images per turn on a GPU. The most important kind first."""
_DIFFERENT = 128
"""Files; a turn reads each of them several times."""
_ON_CPU = 64
"""Divides the number of images where there is no GPU."""
BATCH = 64
"""12 megapixels are 36 MB each when decoded, and three batches are in the graph."""
LOADS = (DEFAULT_TUNING.hw_decoder_load, 1.0)
MOST_MEAN = 2.0
"""Gray levels between both, as a mean: other decoders, and a decode at 1/8."""
HOST, ROUTED, CHECK = "vocscore, host", "vocscore, DALI", "check of every coefficient, cores"


@dataclass(frozen=True)
class Compared:
    """The same images in memory and as files.

    Attributes:
        refs: the files, repeated.
        data: their bytes.
        pixels: of an image, on average.
    """

    refs: Sequence[ImageRef]
    data: Sequence[bytes]
    pixels: float


def graph(load: float) -> str:
    """The name of the graph alone, with a share of the images for the engines."""
    return f"graph alone, {load:.0%} to the engines"


def run(options: Options) -> Iterator[Outcome]:
    """An outcome per kind of images: all that the graph could decode, wherever they are decoded."""
    for kind, most in IMAGES.items():
        number = options.images or (most if options.on_gpu else most // _ON_CPU)
        yield compare_decoders(replace(options, kind=kind), number)


def compare_decoders(options: Options, number: int) -> Outcome:
    """Rates of one kind by the host, by the graph, and by the loader, which chooses."""
    some = replace(options, images=min(_DIFFERENT, number)).image_set(_DIFFERENT)
    images = _repeated(some.refs, number)
    engines = jpeg_engines(options.device)
    with ExitStack() as stack:
        host = stack.enter_context(_loader("host", options))
        routed = stack.enter_context(_loader("dali", options))
        decoders = {load: _decoder(load, options, stack) for load in LOADS}
        apart = _mean_difference(images, host=host, decoder=decoders[1.0])
        pool = stack.enter_context(ThreadPoolExecutor(usable_cores()))
        work: dict[str, Callable[[], int]] = {
            HOST: lambda: consume(host.batches(images.refs), options.device),
            ROUTED: lambda: consume(routed.batches(images.refs), options.device),
            CHECK: lambda: _checked(pool, images.data),
        }
        for load, decoder in decoders.items():
            work[graph(load)] = partial(decode, decoder, images.data, options.device)
        rates = interleave(work, repeats=options.repeats)
    return Outcome(
        contest="gpu",
        title=f"JPEGs to batches of 256x256 on {options.where}, and on {usable_cores()} cores",
        rates=rates,
        key={**some.key, "part": "engines"},
        facts={
            **some.facts,
            "pixels": images.pixels,
            "jpeg_engines": engines,
            "mean_gray_levels": apart,
        },
        lines=tuple(_lines(rates, images.pixels, engines)) if options.on_gpu else (),
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
    """Decode files by the graph alone; return their number.

    Raises:
        ValueError: the graph failed.
    """
    left, done, in_flight = iter(data), 0, deque[int]()
    while True:
        batch = list(islice(left, BATCH))
        if batch:
            decoder.submit(batch)
            in_flight.append(len(batch))
        if len(in_flight) > DEFAULT_TUNING.in_flight or (in_flight and not batch):
            done += _collected(decoder, in_flight.popleft())
        elif not batch:
            break
    synchronize(device)
    return done


def _collected(decoder: Decoder, number: int) -> int:
    found = decoder.collect()
    if found is None or len(found) != number:
        raise ValueError("DALI could not decode a batch")
    return number


def _repeated(files: Sequence[ImageRef], number: int) -> Compared:
    contents = [Path(ref.file).read_bytes() for ref in files]
    heads = [image_file.probe(data) for data in contents]
    places = [row % len(files) for row in range(number)]
    return Compared(
        [ImageRef(f"{row:06d}", files[place].file) for row, place in enumerate(places)],
        [contents[place] for place in places],
        sum(heads[place].width * heads[place].height for place in places) / number,
    )


def _loader(name: str, options: Options) -> ImageLoader:
    return own_loader(name, Preprocess(), batch_size=BATCH, device=options.device)


def _decoder(load: float, options: Options, stack: ExitStack) -> Decoder:
    """The graph of a loader, which is not used otherwise."""
    loader = DaliLoader(
        Preprocess(),
        batch_size=BATCH,
        threads=usable_cores(),
        device=options.device,
        max_pixels=MAX_PIXELS,
        tuning=Tuning(hw_decoder_load=load),
    )
    stack.callback(loader.close)
    return loader.open_decoder()


def _mean_difference(images: Compared, *, host: ImageLoader, decoder: Decoder) -> float:
    """Compare a batch of the host's with the graph's, in gray levels.

    Raises:
        ValueError: they are not the same images.
    """
    first = next(iter(host.batches(images.refs[:BATCH])))
    decoder.submit(list(images.data[:BATCH]))
    found = decoder.collect()
    if found is None or len(found) != len(first.images):
        raise ValueError("DALI could not decode the images")
    apart = float((found.cpu().short() - first.images.cpu().short()).abs().float().mean())
    if not apart <= MOST_MEAN:
        raise ValueError(f"{apart:.2f} gray levels between the graph and the host")
    return apart


def _checked(pool: ThreadPoolExecutor, data: Sequence[bytes]) -> int:
    return sum(1 for _ in pool.map(jpeg.check, data))
