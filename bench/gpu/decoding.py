"""How fast images reach the device as batches, and what decides it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bench.gpu.place import DIETS, JPEG
from bench.outcome import Outcome
from shards.images import image_file, jpeg
from vocscore.config import ScoreConfig
from vocscore.machine import usable_cores
from vocscore.pipeline.dali_decoder import DEFAULT_TUNING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.gpu.place import Place
    from bench.timing import Rate
    from vocscore.pipeline.dali_decoder import Decoder, Tuning

LOADS = (0.0, 0.5, 0.65, 0.8, 1.0)
BATCHES = (64, 128, 256, 512)
_SHARDS_SWEPT = 3
"""There are many settings; each is measured on so many shards' images."""
READ, LOOK, GRAPH, LOADER = "read", "strict look", "DALI alone, bytes ready", "loader"


def ceilings(place: Place) -> Iterator[Outcome]:
    """Each stage alone: reading, the strict look, DALI's graph, and the loader that joins them."""
    yield from (_stages(place, diet) for diet in DIETS)


def _stages(place: Place, diet: str) -> Outcome:
    refs = place.refs(diet)
    read = partial(image_file.read_bytes, max_pixels=ScoreConfig.max_pixels)
    data = [read(ref) for ref in refs[: place.shard]]
    with ThreadPoolExecutor(usable_cores()) as pool, place.loader() as loader:
        graph = loader.open_decoder()
        rates = {
            READ: place.rate(lambda: sum(1 for _ in pool.map(read, refs))),
            LOOK: place.rate(lambda: sum(1 for _ in pool.map(jpeg.check, data))),
            GRAPH: place.rate(lambda: _graph_alone(place, graph, data)),
            LOADER: place.rate(lambda: place.consume(loader.batches(refs))),
        }
    return Outcome(
        contest="gpu",
        title=f"ceilings of images, {diet}, {usable_cores()} threads",
        rates=rates,
        walls={LOADER: min((READ, LOOK, GRAPH), key=lambda name: rates[name].median)},
        key={"part": "decoding", "diet": diet},
        facts={"bytes_a_picture": sum(map(len, data)) / len(data)},
    )


def _graph_alone(place: Place, graph: Decoder, data: list[bytes]) -> int:
    """Decode and resize bytes that are in memory; nothing is looked at."""
    under_way = 0
    for at in range(0, len(data), place.batch):
        graph.submit(data[at : at + place.batch])
        under_way += 1
        if under_way > DEFAULT_TUNING.in_flight:
            under_way -= 1
            graph.collect()
    for _ in range(under_way):
        graph.collect()
    place.wait()
    return len(data)


def sweep(place: Place) -> Iterator[Outcome]:
    """The hardware's share by threads, then the batch, then the depth."""
    cores = usable_cores()
    threads = sorted({max(1, cores // 2), cores, 2 * cores})
    loads = (0.0, 0.65, 1.0) if place.quick else LOADS
    for diet in DIETS[:1] if place.quick else DIETS:
        measures = {
            f"hw_decoder_load {load}, {number} threads": partial(
                _rate,
                place,
                diet,
                threads=number,
                tuning=replace(DEFAULT_TUNING, hw_decoder_load=load),
            )
            for number in threads
            for load in (loads if place.on_gpu else loads[:1])
        }
        absent = {} if place.on_gpu else {"hw_decoder_load": "needs CUDA: the CPU has no engines"}
        yield _swept(place, "hw_decoder_load and threads", diet, measures, absent)
    measures = {
        f"batch {batch}": partial(_rate, place, JPEG, batch=batch)
        for batch in BATCHES
        if batch <= max(place.batch, 64)
    }
    yield _swept(place, "batch", JPEG, measures, {})
    measures = {
        f"{depth} batches in DALI": partial(
            _rate, place, JPEG, tuning=replace(DEFAULT_TUNING, in_flight=depth)
        )
        for depth in (1, 2, 3)
    }
    yield _swept(place, "depth", JPEG, measures, {})


def _rate(
    place: Place,
    diet: str,
    *,
    batch: int | None = None,
    threads: int | None = None,
    tuning: Tuning = DEFAULT_TUNING,
) -> Rate:
    refs = place.refs(diet)[: _SHARDS_SWEPT * place.shard]
    with place.loader(batch=batch, threads=threads, tuning=tuning) as loader:
        return place.rate(lambda: place.consume(loader.batches(refs)))


def _swept(
    place: Place,
    what: str,
    diet: str,
    measures: Mapping[str, Callable[[], Rate]],
    absent: Mapping[str, str],
) -> Outcome:
    rates, left_out = place.rates(measures)
    best = max(rates, key=lambda name: rates[name].median, default="")
    return Outcome(
        contest="gpu",
        title=f"sweep of {what}, decoding to batches, {diet}",
        rates=rates,
        absent={**absent, **left_out},
        key={"part": f"sweep of {what}", "diet": diet},
        facts={"best": best},
        lines=(f"best: {best}",),
    )
