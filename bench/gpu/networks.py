"""The network alone on the device: ready images to probabilities in main memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from bench.matrix import gflop_per_image
from bench.outcome import Outcome
from bench.peers.task import AbsentError
from vocscore.models.checkpoint import load_checkpoint
from vocscore.runtime.cuda import CudaRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.gpu.place import Place
    from bench.timing import Rate
    from vocscore.runtime import Results, Runtime

BATCHES = (32, 64, 128, 256, 512)
_BATCHES_A_TURN = 16
_NO_GPU = "needs CUDA"


@dataclass(frozen=True)
class Way:
    """One way to run a network; all are channels-last.

    Attributes:
        precision: as for `CudaRuntime`.
        graph: in a CUDA graph.
        compiled: as for `CudaRuntime`.
    """

    precision: str
    graph: bool = False
    compiled: str | None = None


BASELINE = "float32, eager"
DEFAULT = "bf16, CUDA graph"
WAYS = {
    BASELINE: Way("float32"),
    "TF32, eager": Way("tf32"),
    "bf16, eager": Way("bf16"),
    "float32, CUDA graph": Way("float32", graph=True),
    DEFAULT: Way("bf16", graph=True),
}
COMPILED = {
    "bf16, compiled": Way("bf16", compiled="default"),
    "bf16, compiled, CUDA graph": Way("bf16", graph=True, compiled="default"),
}
"""Tens of seconds each to start; of the first backbone only."""
LONG = {
    "bf16, max-autotune, CUDA graph": Way(
        "bf16", graph=True, compiled="max-autotune-no-cudagraphs"
    ),
}
"""Minutes to start; not in a quick turn."""


def opened(place: Place, backbone: str, way: Way, *, batch: int) -> CudaRuntime:
    """A checkpoint's network, run in one way."""
    network, card = load_checkpoint(place.checkpoint(backbone))
    return CudaRuntime(
        network,
        preprocess=card.preprocess,
        classes=len(card.classes),
        device=place.device,
        precision=way.precision,
        batch_size=batch,
        graph=way.graph,
        compiled=way.compiled,
    )


def rate(place: Place, runtime: Runtime, *, batch: int) -> Rate:
    """Images per second of batches that are on the device, as many under way as the engine has."""
    shape = (batch, 3, place.size, place.size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=place.device)
    images = images.contiguous(memory_format=torch.channels_last)

    def work() -> int:
        under_way: deque[Results] = deque()
        for _ in range(_BATCHES_A_TURN if place.on_gpu else 1):
            if len(under_way) >= runtime.in_flight:
                under_way.popleft()()
            under_way.append(runtime.submit(images))
        for results in under_way:
            results()
        return batch * (_BATCHES_A_TURN if place.on_gpu else 1)

    return place.rate(work)


def precisions(place: Place) -> Iterator[Outcome]:
    """Every backbone in every way that starts in seconds."""
    for backbone in place.backbones:
        yield _compared(place, backbone, WAYS, part="model")


def compiled(place: Place) -> Iterator[Outcome]:
    """torch.compile beside the graph alone, on one backbone."""
    ways = {DEFAULT: WAYS[DEFAULT], **COMPILED, **({} if place.quick else LONG)}
    yield _compared(place, place.backbones[0], ways, part="compiled")


def _compared(place: Place, backbone: str, ways: dict[str, Way], *, part: str) -> Outcome:
    memory: dict[str, float] = {}
    runs = {n: w for n, w in ways.items() if place.on_gpu or not (w.graph or w.compiled)}
    rates, absent = place.rates(
        {name: partial(_alone, place, backbone, name, way, memory) for name, way in runs.items()}
    )
    absent |= dict.fromkeys(ways.keys() - runs.keys(), _NO_GPU)
    network, card = load_checkpoint(place.checkpoint(backbone))
    gflop = gflop_per_image(network, size=card.preprocess.size)
    return Outcome(
        contest="gpu",
        title=f"{backbone} alone, batch {place.batch}, {place.size}x{place.size}",
        rates=rates,
        baseline=BASELINE if BASELINE in rates else "",
        absent=absent,
        key={"part": part, "backbone": backbone},
        facts={
            "gflop_a_picture": gflop,
            "gflop_per_second": {name: one.median * gflop for name, one in rates.items()},
            "peak_megabytes": memory,
        },
        lines=(
            f"{gflop:.2f} GFLOP an image; peak memory of torch, MB: "
            + ", ".join(f"{name} {size:.0f}" for name, size in memory.items()),
        ),
    )


def _alone(place: Place, backbone: str, name: str, way: Way, memory: dict[str, float]) -> Rate:
    """One way's rate; the memory that it took goes into `memory`.

    Raises:
        AbsentError: the graph could not be captured.
    """
    place.tidy()  # the one before has been let go with its function
    runtime = opened(place, backbone, way, batch=place.batch)
    if way.graph and not runtime.has_graph:
        raise AbsentError("the graph could not be captured")
    found = rate(place, runtime, batch=place.batch)
    memory[name] = _megabytes(place)
    return found


def _megabytes(place: Place) -> float:
    return torch.cuda.max_memory_allocated(place.device) / 1e6 if place.on_gpu else 0.0


def batches(place: Place) -> Iterator[Outcome]:
    """The default way by batch, on every backbone."""
    way = WAYS[DEFAULT] if place.on_gpu else WAYS[BASELINE]
    sizes = [size for size in BATCHES if size <= 2 * place.batch]
    for backbone in place.backbones[:1] if place.quick else place.backbones:
        rates, absent = place.rates(
            {
                f"batch {size}": partial(_of_batch, place, backbone, way, size)
                for size in sizes or [place.batch]
            }
        )
        yield Outcome(
            contest="gpu",
            title=f"sweep of the batch, {backbone} alone, {way.precision}",
            rates=rates,
            absent=absent,
            key={"part": "model batch", "backbone": backbone},
            facts={"best": max(rates, key=lambda name: rates[name].median, default="")},
        )


def _of_batch(place: Place, backbone: str, way: Way, size: int) -> Rate:
    place.tidy()
    return rate(place, opened(place, backbone, way, batch=size), batch=size)
