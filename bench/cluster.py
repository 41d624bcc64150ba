"""Workers of a Ray cluster: scaling on this machine, and a simulation beyond it.

The workers' network sleeps, so that 16 of them need no more than this machine's cores; what is
measured is everything else: handing out, sending rows back, writing and committing parts in the
driver. The simulation takes the measured cost of a commit to 1,000 workers and a billion images.
"""

from __future__ import annotations

import heapq
import statistics
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.outcome import Outcome, held
from bench.product import rows_format, write_rows
from bench.timing import Rate
from vocscore.scoring.output.ledger import open_ledger
from vocscore.scoring.output.rows import Rows
from vocscore.scoring.output.unit_record import UnitRecord
from vocscore.workers.dispatch import Dispatcher
from vocscore.workers.messages import Done
from vocscore.workers.ray_actors import RayTransport
from vocscore.workers.ray_cluster import RayCluster
from vocscore.workers.shares import Share

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from bench.contests import Options

UNIT, CLASSES, SECONDS, UNITS_EACH = 2048, 20, 2.0, 8
"""Images per unit, classes, seconds that a unit sleeps (1,024 images/s), units per worker."""
WORKERS = (1, 2, 4, 8, 16)
EFFICIENCY = 95
SIMULATED = (1, 16, 100, 300, 1000)
IMAGES = 10**9
SPREAD = 0.1
"""Standard deviation of a unit's duration in the simulation, relative to its mean."""


class Unit(NamedTuple):
    """An item: images that are only numbers."""

    number: int


@dataclass(frozen=True)
class Sleeping:
    """A job, and its work: each unit takes `SECONDS`, and random rows come back."""

    device: str = "cpu"
    about: str = "sleep"

    @property
    def kind(self) -> Mapping[str, str]:
        """All workers are alike."""
        return {}

    def open(self) -> Sleeping:
        """Load nothing."""
        return self

    def run(self, items: Iterator[Any]) -> Generator[Done]:
        """Sleep, then return rows."""
        for item in items:
            time.sleep(SECONDS)
            yield Done(item.number, rows_of(item.number))

    def close(self) -> None:
        """Free nothing."""


def rows_of(number: int) -> Rows:
    """The rows of a unit: always the same ones for the same number."""
    random = np.random.default_rng(number)
    names = [f"photos/{number:06d}/{image:04d}.jpg" for image in range(UNIT)]
    return Rows(names, random.random((UNIT, CLASSES), dtype=np.float32), {})


class Committed(NamedTuple):
    """What the driver did in one run.

    Attributes:
        efficiency: percent of the ideal rate, from the first to the last unit.
        commit, merge: seconds per unit.
        same: whether the rows are those written without workers.
    """

    efficiency: float
    commit: float
    merge: float
    same: bool


def run(options: Options) -> Iterator[Outcome]:
    """Measure efficiency by the number of workers, then simulate."""
    found: dict[int, list[Committed]] = {workers: [] for workers in WORKERS}
    with closing(RayCluster("ray")):  # the others join it
        for repeat in range(options.repeats):
            for workers in WORKERS:
                file = options.scratch / f"cluster-{repeat}-{workers}.csv"
                found[workers].append(committed(file, workers))
    same = all(one.same for each in found.values() for one in each)
    last = found[WORKERS[-1]]
    reached = statistics.median(one.efficiency for one in last)
    commit = statistics.median(one.commit for one in last)
    goal = held(reached >= EFFICIENCY)
    yield Outcome(
        contest="cluster",
        title=f"share of the ideal rate by workers that sleep {SECONDS:g} s per unit of {UNIT} "
        "images, CSV, one driver",
        unit="% of ideal",
        rates={
            f"{workers} workers": Rate(tuple(one.efficiency for one in each))
            for workers, each in found.items()
        },
        key={"part": "scaling"},
        facts={
            "bytes equal": same,
            "seconds per commit": commit,
            "merge per unit": statistics.median(one.merge for one in last),
        },
        lines=(
            f"at {WORKERS[-1]} workers {reached:.1f}% of ideal, {EFFICIENCY}% wanted: {goal}",
            f"rows equal those of one process: {held(same)}",
        ),
    )
    yield simulated(commit)


def committed(file: Path, workers: int) -> Committed:
    """Score units with some workers of a cluster of its own; the driver commits and joins."""
    names = tuple(f"class{number:02d}" for number in range(CLASSES))
    form = rows_format(file, names)
    units, spent = UNITS_EACH * workers, 0.0
    with open_ledger(file, {"bench": units}, suffix=form.suffix, overwrite=True) as ledger:
        transport = RayTransport(RayCluster("ray"), Sleeping(), Share(workers, 0, 0.0))
        with closing(Dispatcher(transport)) as dispatcher:
            begun = time.perf_counter()
            for message, _ in dispatcher.run(iter(map(Unit, range(units)))):
                started = time.perf_counter()
                write = partial(form.write, rows=message.value)
                ledger.commit(message.number, UnitRecord(UNIT), write)
                spent += time.perf_counter() - started
            seconds = time.perf_counter() - begun
        started = time.perf_counter()
        ledger.merge(units, form.merge)
        merging = time.perf_counter() - started
    serial = write_rows(file.with_name(f"serial-{file.name}"), names, map(rows_of, range(units)))
    same = serial.read_bytes() == file.read_bytes()
    return Committed(100 * UNITS_EACH * SECONDS / seconds, spent / units, merging / units, same)


def simulated(commit: float) -> Outcome:
    """Run the hand-out of a billion images in events, with one committer."""
    units, rates = -(-IMAGES // UNIT), {}
    for workers in SIMULATED:
        seconds = simulate(units, workers=workers, unit=SECONDS, commit=commit)
        rates[f"{workers} workers"] = Rate((100 * units * SECONDS / workers / seconds,))
    binds = int(SECONDS / commit)
    return Outcome(
        contest="cluster",
        title=f"simulated: {IMAGES:.0e} images, units of {UNIT} that take {SECONDS:g} s, one "
        f"committer that takes {commit * 1000:.1f} ms per unit",
        unit="% of ideal",
        rates=rates,
        key={"part": "simulation"},
        facts={"committer binds at workers": binds, "images/s there": UNIT / commit},
        lines=(
            f"the committer binds at {binds} workers, {UNIT / commit:,.0f} images/s",
            "beyond: units of several outputs, or jobs without a driver (--units)",
        ),
    )


def simulate(units: int, *, workers: int, unit: float, commit: float) -> float:
    """Seconds until all units are committed.

    Workers have two units in hand, so none waits for its next unit unless the driver is two units
    late; the driver commits one after the other, and hands out after each.

    Args:
        units: number of units.
        workers: number of workers.
        unit: mean seconds of a unit on a worker.
        commit: seconds of the driver per unit.
    """
    durations = np.random.default_rng(0).normal(unit, SPREAD * unit, units).clip(unit / 10)
    left, driver = iter(durations), 0.0
    free = [0.0] * workers  # when each has finished what it was handed
    finished: list[tuple[float, int]] = []

    def hand(worker: int) -> None:
        seconds = next(left, None)
        if seconds is not None:
            free[worker] = max(free[worker], driver) + seconds
            heapq.heappush(finished, (free[worker], worker))

    for worker in [*range(workers)] * 2:
        hand(worker)
    while finished:
        at, worker = heapq.heappop(finished)
        driver = max(driver, at) + commit
        hand(worker)
    return driver
