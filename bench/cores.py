"""Many cores, simulated: how far Python's lock lets one process go."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from bench.outcome import Outcome
from bench.product import own_loader, score
from bench.sleeping import Unlocked, exact_sleeps, sleeping_network
from bench.timing import Timed, interleave
from shards.classes import VOC_CLASSES
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import save_checkpoint
from vocscore.models.network import build_network
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.contests import Options
    from bench.images import ImageSet
    from bench.timing import Rate
    from shards.sample import ImageRef

IMAGES: Final = 512
THREADS: Final = (1, 2, 4, 8, 16, 32)
REAL: Final = (1, 2)
"""Numbers of threads that are also run without sleeping."""
MOST_TIMES: Final = 16
"""With more threads, the turn has no more images."""
GOOD: Final = 0.9
"""Share of the ideal rate up to which threads are said to pay."""
NOTHING: Final = "nothing to decode"

Turn = "Callable[[int], Timed]"
"""Loads or scores with a number of threads."""


def run(options: Options) -> Iterator[Outcome]:
    """Images per second by the number of threads: the loader, and scoring."""
    images = options.image_set(IMAGES)
    unlocked = Unlocked(late=exact_sleeps())
    spent: list[float] = []
    with sleeping_network():
        for part, what, turn in (
            ("loader", "files to uint8 batches", partial(_load, images.refs, spent=spent)),
            ("score", "folder to CSV, a network that sleeps", _scoring(options, images)),
        ):
            rates = interleave(turns(unlocked, turn), repeats=options.repeats)
            facts = {"cpu seconds per image": min(spent)} if part == "loader" else {}
            yield outcome(part, what, rates, unlocked=unlocked, images=images, facts=facts)


def turns(unlocked: Unlocked, turn: Callable[[int], Timed]) -> dict[str, Callable[[], Timed]]:
    """The contestants; the first one measures how long the others sleep."""

    def real(threads: int) -> Timed:
        if threads > 1:
            return turn(threads)
        with unlocked.measured():
            return turn(1)

    def slept(threads: int, share: float = 1.0) -> Timed:
        with unlocked.slept(share):
            return turn(threads)

    return {
        **{f"{_threads(n)}, real": partial(real, n) for n in REAL},
        **{_threads(n): partial(slept, n) for n in THREADS},
        NOTHING: partial(slept, 1, 0.0),
    }


def outcome(
    part: str,
    what: str,
    rates: Mapping[str, Rate],
    *,
    unlocked: Unlocked,
    images: ImageSet,
    facts: Mapping[str, object],
) -> Outcome:
    """The rates, with what follows from them."""
    medians = {n: rates[_threads(n)].median for n in THREADS}
    efficiency = {n: rate / (n * medians[1]) for n, rate in medians.items()}
    good = max(n for n, share in efficiency.items() if share >= GOOD)
    most = max(medians.values())
    apart = {n: medians[n] / rates[f"{_threads(n)}, real"].median - 1 for n in REAL}
    found = {
        "seconds without the lock": unlocked.seconds,
        "seconds of a late sleep": unlocked.late,
        "efficiency": {str(n): round(share, 3) for n, share in efficiency.items()},
        "most images/s": most,
        "cores that one process feeds": most / medians[1],
        "simulated to real": {str(n): round(1 + share, 3) for n, share in apart.items()},
    }
    return Outcome(
        contest="cores",
        title=f"cores, simulated: {what}; decoding sleeps as long as it takes here",
        rates=rates,
        key={**images.key, "part": part},
        facts={**images.facts, **found, **facts},
        lines=(
            "share of the ideal rate: "
            + ", ".join(f"{share:.0%} with {_threads(n)}" for n, share in efficiency.items()),
            f"at least {GOOD:.0%} up to {_threads(good)}",
            f"one process reaches {most:,.0f} images/s: {most / medians[1]:.0f} cores that decode",
            "the simulation beside reality: "
            + ", ".join(f"{share:+.0%} with {_threads(n)}" for n, share in apart.items()),
        ),
    )


def _threads(number: int) -> str:
    return f"{number} thread" + "s" * (number > 1)


def _times(threads: int) -> int:
    return min(threads, MOST_TIMES)


def _load(refs: Sequence[ImageRef], threads: int, *, spent: list[float]) -> Timed:
    """Load with some threads, which are started before the clock is."""
    its = [*refs] * _times(threads)
    with closing(own_loader("host", Preprocess(), threads=threads)) as loader:
        started, cpu = time.perf_counter(), time.process_time()
        found = sum(len(batch.rows) for batch in loader.batches(its))
        timed = Timed(found, time.perf_counter() - started)
        spent.append((time.process_time() - cpu) / len(its))
    if found != len(its):
        raise ValueError(f"{found} of {len(its)} images were loaded")
    return timed


def _scoring(options: Options, images: ImageSet) -> Callable[[int], Timed]:
    """A turn of scoring; the folders are made here."""
    checkpoint = _checkpoint(options.scratch / "cores-run")
    folders = {
        times: _folder(options.scratch / f"cores-{times}", images.refs, times)
        for times in sorted({_times(n) for n in THREADS})
    }
    outputs = (options.scratch / f"cores-{turn}.csv" for turn in itertools.count())

    def turn(threads: int) -> Timed:
        folder = folders[_times(threads)]
        report = score(folder, next(outputs), model=checkpoint, workers=threads, loader="host")
        if report.errors or report.images != len(images.refs) * _times(threads):
            raise ValueError(f"not every image was scored: {report}")
        return Timed(report.images, report.seconds)

    return turn


def _checkpoint(folder: Path) -> Path:
    """A model whose network is not run."""
    network = build_network("squeezenet1_1", classes=len(VOC_CLASSES), weights="none", size=32)
    torch.nn.init.zeros_(network.head.weight)
    card = ModelCard("squeezenet1_1", VOC_CLASSES, Preprocess(), 0.5, "none")
    save_checkpoint(folder, network, card)
    return folder


def _folder(folder: Path, refs: Sequence[ImageRef], times: int) -> Path:
    """The images several times, as hard links."""
    folder.mkdir()
    for number, ref in enumerate([*refs] * times):
        os.link(ref.file, folder / f"{number:06d}{Path(ref.file).suffix}")
    return folder
