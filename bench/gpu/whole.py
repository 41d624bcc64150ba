"""`vocscore score` and `train` on the device, end to end, beside their walls and the peers."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import torch

from bench.commands import vocscore
from bench.gpu.networks import BASELINE, DEFAULT, WAYS, opened
from bench.gpu.networks import rate as model_rate
from bench.gpu.place import DIETS, JPEG
from bench.images import make_images
from bench.outcome import Outcome
from bench.peers.dataloader import open_usual
from bench.peers.task import AbsentError, Task
from bench.timing import Rate, Timed, interleave, timed_rate
from shards.reader import load_split
from shards.synthetic.voc import draw_voc
from vocscore.machine import usable_cores
from vocscore.models.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.gpu.place import Place

DECODE, MODEL = "decode ceiling", "model ceiling"
USUAL = "usual loop (DataLoader, PIL, eager float32)"
_WORKERS = (2, 4)
_PEERS_SHARDS = 4
_TRAINED = 600
_EPOCHS, _EPOCHS_ON_CPU = 40, 4
"""Of the long run beyond the short one: on a fast GPU several seconds."""
_LEAST_GROWTH = 0.2
_numbers = itertools.count()


def scoring(place: Place) -> Iterator[Outcome]:
    """Each backbone from each diet: shards to CSV, in one process and in several on one device."""
    for diet in DIETS:
        refs = place.refs(diet)
        with place.loader() as loader:
            decode = place.rate(lambda: place.consume(loader.batches(refs)))  # noqa: B023 - called here
        for backbone in place.backbones:
            place.tidy()
            way = WAYS[DEFAULT if place.on_gpu else BASELINE]
            model = model_rate(
                place, opened(place, backbone, way, batch=place.batch), batch=place.batch
            )
            place.tidy()
            yield _scored(place, backbone, diet, decode=decode, model=model)


def _scored(place: Place, backbone: str, diet: str, *, decode: Rate, model: Rate) -> Outcome:
    rates = interleave({"score": partial(run_score, place, backbone, diet)}, repeats=place.repeats)
    several: dict[str, Callable[[], Rate]] = {}
    if backbone == place.backbones[0]:  # workers take many seconds to start
        several = {
            f"score, {workers} workers on one device": partial(
                _by_workers, place, backbone, diet, workers
            )
            for workers in (_WORKERS[:1] if place.quick else _WORKERS)
        }
    more, absent = place.rates(several)
    rates |= more
    both = {DECODE: decode, MODEL: model}
    wall = min(both, key=lambda name: both[name].median)
    return Outcome(
        contest="gpu",
        title=f"score, {backbone}, {diet} to CSV, {place.precision}",
        rates={**both, **rates},
        walls=dict.fromkeys(rates, wall),
        absent=absent,
        key={"part": "score", "backbone": backbone, "diet": diet},
        facts={"wall": wall, "pictures": place.shard * place.shards},
        lines=(f"the wall: {wall}",),
    )


def _by_workers(place: Place, backbone: str, diet: str, workers: int) -> Rate:
    """One run; its own clock leaves the start out, so it needs none before it."""
    return Rate((timed_rate(partial(run_score, place, backbone, diet, workers=workers)),))


def run_score(place: Place, backbone: str, diet: str, *, workers: int = 1) -> Timed:
    """Run the command; its own clock leaves listing and loading out."""
    output = place.scratch / f"scored-{next(_numbers)}.csv"
    summary = output.with_suffix(".json")
    where = ["--device", place.device]
    if workers > 1:
        where = ["--devices", ",".join([place.device.removeprefix("cuda:")] * workers)]
    words: list[object] = ["-m", place.checkpoint(backbone), "-o", output]
    words += ["--loader", "dali", "--batch-size", place.batch, "--precision", place.precision]
    vocscore("score", place.folder(diet), *words, *where, "-q", "--no-ceilings", "--json", summary)
    report = json.loads(summary.read_text())
    output.unlink()
    if report["errors"] or report["pictures"] != place.shard * place.shards:
        raise RuntimeError(f"score lost images: {report}")
    return Timed(report["pictures"], report["seconds"])


def peers(place: Place) -> Iterator[Outcome]:
    """The usual loop with a worker a core, and DALI's graph with an eager network."""
    from bench.gpu.dali_loop import DaliLoop

    backbone = place.backbones[0]
    images = make_images(place.scratch / "peers", images=_PEERS_SHARDS * place.shard)
    task = Task(
        images=images.refs,
        preprocess=place.preprocess,
        batch=min(place.batch, 64),
        workers=usable_cores(),
        scratch=place.scratch,
    )
    network = load_checkpoint(place.checkpoint(backbone))[0].eval().to(place.device)
    with closing(open_usual(task)) as loader:
        dali = DaliLoop(task, device=place.device)
        contestants: dict[str, Callable[[], int | Timed]] = {
            USUAL: lambda: _eager(place, network, (ready.images for ready in loader.batches())),
            "DALI's graph, eager float32": lambda: _eager(place, network, dali.batches()),
            "vocscore score": partial(run_score, place, backbone, JPEG),
        }
        rates = interleave(contestants, repeats=place.repeats)
    yield Outcome(
        contest="gpu",
        title=f"peers, {backbone}: JPEGs to probabilities",
        rates=rates,
        baseline=USUAL,
        key={"part": "peers", "backbone": backbone},
        facts={"pictures": images.made_of, "workers": task.workers},
        lines=("the peers read loose files, score reads shards of the same images",),
    )


@torch.inference_mode()
def _eager(place: Place, network: torch.nn.Module, batches: Iterator[torch.Tensor]) -> Timed:
    """The network of the peers' documentation: eager, float32, results fetched each batch.

    The clock starts when whoever makes the batches has been set up.
    """
    images, started = 0, time.perf_counter()
    for batch in batches:
        images += len(network(batch.to(place.device, non_blocking=True)).sigmoid().cpu())
    return Timed(images, time.perf_counter() - started)


def training(place: Place) -> Iterator[Outcome]:
    """`train --tune all`: images per second of an epoch, starting up left out."""
    tree, shards = place.scratch / "voc", place.scratch / "voc-shards"
    draw_voc(tree, images=_TRAINED if place.on_gpu else 30, width=500, height=375)
    vocscore("pack", tree, "-o", shards, "--split", "ratio", "-q")
    precisions = ("bf16", "float32") if place.on_gpu else ("float32",)
    rates, absent = place.rates(
        {f"train --tune all, {one}": partial(_epochs, place, shards, one) for one in precisions}
    )
    yield Outcome(
        contest="gpu",
        title=f"train --tune all, {place.backbones[0]}, training and validation images",
        rates=rates,
        absent=absent,
        key={"part": "train", "backbone": place.backbones[0]},
    )


def _epochs(place: Place, shards: Path, precision: str) -> Rate:
    """From the difference of a long run and a short one.

    Raises:
        AbsentError: the long one took hardly longer, so that the difference is noise.
    """
    images = len(load_split(shards, "train,val").images)
    epochs = _EPOCHS if place.on_gpu else _EPOCHS_ON_CPU
    values: list[float] = []
    while not values or (len(values) < place.repeats and not place.time_is_up):
        short, long = (_seconds(place, shards, precision, n) for n in (1, 1 + epochs))
        if long < (1 + _LEAST_GROWTH) * short:
            raise AbsentError(f"{epochs} more epochs took {long - short:.1f} s beside {short:.1f}")
        values.append(epochs * images / (long - short))
    return Rate(tuple(values))


def _seconds(place: Place, shards: Path, precision: str, epochs: int) -> float:
    words: list[object] = ["--backbone", place.backbones[0], "--weights", "none", "--tune", "all"]
    words += ["--size", place.size, "--batch-size", min(place.batch, 128), "--epochs", epochs]
    words += ["--device", place.device, "--precision", precision, "--quiet"]
    started = time.perf_counter()
    vocscore("train", shards, "-o", place.scratch / f"trained-{next(_numbers)}", *words)
    return time.perf_counter() - started
