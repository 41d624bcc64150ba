"""Many cores, simulated: how far Python's lock lets one process go."""

from __future__ import annotations

import itertools
import time
from contextlib import closing, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final

from bench.checkpoints import save_untrained
from bench.images import linked
from bench.outcome import Outcome
from bench.product import own_loader, timed_score
from bench.sleeping import Unlocked, exact_sleeps, sleeping_network
from bench.timing import Timed, consume, interleave
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.contests import Options
    from bench.images import ImageSet
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
            more = {"cpu seconds per image": min(spent)} if part == "loader" else {}
            lines, facts = conclusions({name: rate.median for name, rate in rates.items()})
            yield Outcome(
                contest="cores",
                title=f"cores, simulated: {what}; decoding sleeps as long as it takes here",
                rates=rates,
                key={**images.key, "part": part},
                facts={
                    **images.facts,
                    "seconds without the lock": unlocked.seconds,
                    "seconds of a late sleep": unlocked.late,
                    **facts,
                    **more,
                },
                lines=lines,
            )


def turns(unlocked: Unlocked, turn: Callable[[int], Timed]) -> dict[str, Callable[[], Timed]]:
    """The contestants; the first one measures how long the others sleep."""

    def measured(threads: int) -> Timed:
        with unlocked.measured() if threads == 1 else nullcontext():
            return turn(threads)

    def slept(threads: int, share: float = 1.0) -> Timed:
        with unlocked.slept(share):
            return turn(threads)

    return {
        **{f"{_threads(n)}, real": partial(measured, n) for n in REAL},
        **{_threads(n): partial(slept, n) for n in THREADS},
        NOTHING: partial(slept, 1, 0.0),
    }


def conclusions(medians: Mapping[str, float]) -> tuple[tuple[str, ...], dict[str, object]]:
    """What follows from the images per second of each contestant: sentences, and facts."""
    alone, most = medians[_threads(1)], max(medians[_threads(n)] for n in THREADS)
    efficiency = {n: medians[_threads(n)] / (n * alone) for n in THREADS}
    good = max(n for n, share in efficiency.items() if share >= GOOD)
    apart = {n: medians[_threads(n)] / medians[f"{_threads(n)}, real"] for n in REAL}
    shares = ", ".join(f"{share:.0%} with {_threads(n)}" for n, share in efficiency.items())
    beside = ", ".join(f"{ratio - 1:+.0%} with {_threads(n)}" for n, ratio in apart.items())
    lines = (
        f"share of the ideal rate: {shares}",
        f"at least {GOOD:.0%} up to {_threads(good)}",
        f"one process reaches {most:,.0f} images/s: {most / alone:.0f} cores that decode",
        f"the simulation beside reality: {beside}",
    )
    return lines, {
        "efficiency": {str(n): round(share, 3) for n, share in efficiency.items()},
        "most images/s": most,
        "cores that one process feeds": most / alone,
        "simulated to real": {str(n): round(ratio, 3) for n, ratio in apart.items()},
    }


def _threads(number: int) -> str:
    return f"{number} thread" + "s" * (number > 1)


def _times(threads: int) -> int:
    return min(threads, MOST_TIMES)


def _load(refs: Sequence[ImageRef], threads: int, *, spent: list[float]) -> Timed:
    """Load with some threads, which are started before the clock is."""
    its = [*refs] * _times(threads)
    with closing(own_loader("host", Preprocess(), threads=threads)) as loader:
        started, cpu = time.perf_counter(), time.process_time()
        timed = Timed(consume(loader, its), time.perf_counter() - started)
        spent.append((time.process_time() - cpu) / len(its))
    return timed


def _scoring(options: Options, images: ImageSet) -> Callable[[int], Timed]:
    """A turn of scoring; the folders are made here."""
    checkpoint = save_untrained(options.scratch / "cores-run", size=Preprocess().size)
    folders = {
        times: linked(options.scratch / f"cores-{times}", [*images.refs] * times)
        for times in sorted({_times(n) for n in THREADS})
    }
    outputs = (options.scratch / f"cores-{turn}.csv" for turn in itertools.count())

    def turn(threads: int) -> Timed:
        times = _times(threads)
        settings = {"model": checkpoint, "workers": threads, "loader": "host"}
        number = len(images.refs) * times
        return timed_score(folders[times], next(outputs), images=number, **settings)

    return turn
