"""How fast pictures reach the device as batches, and what decides it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.gpu.place import DIETS, JPEG
from bench.outcome import Outcome
from shards.pictures import jpeg, picture
from vocscore.machine import usable_cores
from vocscore.pipeline.decoder import DEFAULT_TUNING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.gpu.place import Place
    from bench.timing import Rate
    from vocscore.pipeline.decoder import Decoder, Tuning

LOADS = (0.0, 0.5, 0.65, 0.8, 1.0)
BATCHES = (64, 128, 256, 512)
READ, LOOK, GRAPH, MAKER = "read", "strict look", "DALI alone, bytes ready", "maker"


def ceilings(place: Place) -> Iterator[Outcome]:
    """Each stage alone: reading, the strict look, DALI's graph, and the maker that joins them."""
    yield from (_stages(place, diet) for diet in DIETS)


def _stages(place: Place, diet: str) -> Outcome:
    refs = place.refs(diet)
    data = [picture.read_bytes(ref) for ref in refs[: place.shard]]
    with ThreadPoolExecutor(usable_cores()) as pool, place.maker() as maker:
        graph = maker.open_decoder()
        rates = {
            READ: place.rate(lambda: sum(1 for _ in pool.map(picture.read_bytes, refs))),
            LOOK: place.rate(lambda: sum(1 for _ in pool.map(jpeg.check, data))),
            GRAPH: place.rate(lambda: _graph_alone(place, graph, data)),
            MAKER: place.rate(lambda: place.consume(maker.batches(refs))),
        }
    return Outcome(
        contest="gpu",
        title=f"ceilings of pictures, {diet}, {usable_cores()} threads",
        rates=rates,
        walls={MAKER: min((READ, LOOK, GRAPH), key=lambda name: rates[name].median)},
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
        rates: dict[str, Rate] = {}
        absent = {} if place.on_gpu else {"hw_decoder_load": "needs CUDA: the CPU has no engines"}
        for number in threads:
            for load in loads if place.on_gpu else loads[:1]:
                tuning = replace(DEFAULT_TUNING, hw_decoder_load=load)
                name = f"hw_decoder_load {load}, {number} threads"
                rates[name] = _rate(place, diet, threads=number, tuning=tuning)
        yield _swept("hw_decoder_load and threads", diet, rates, absent)
    rates = {
        f"batch {batch}": _rate(place, JPEG, batch=batch)
        for batch in BATCHES
        if batch <= max(place.batch, 64)
    }
    yield _swept("batch", JPEG, rates, {})
    rates = {
        f"{depth} batches in DALI": _rate(
            place, JPEG, tuning=replace(DEFAULT_TUNING, in_flight=depth)
        )
        for depth in (1, 2, 3)
    }
    yield _swept("depth", JPEG, rates, {})


def _rate(
    place: Place,
    diet: str,
    *,
    batch: int | None = None,
    threads: int | None = None,
    tuning: Tuning = DEFAULT_TUNING,
) -> Rate:
    refs = place.refs(diet)
    with place.maker(batch=batch, threads=threads, tuning=tuning) as maker:
        return place.rate(lambda: place.consume(maker.batches(refs)))


def _swept(what: str, diet: str, rates: dict[str, Rate], absent: dict[str, str]) -> Outcome:
    best = max(rates, key=lambda name: rates[name].median)
    return Outcome(
        contest="gpu",
        title=f"sweep of {what}, decoding to batches, {diet}",
        rates=rates,
        absent=absent,
        key={"part": f"sweep of {what}", "diet": diet},
        facts={"best": best},
        lines=(f"best: {best}",),
    )
