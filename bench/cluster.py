"""Workers of a Ray cluster: scaling on this machine, and a simulation beyond it.

The workers' network sleeps, so that 16 of them need no more than this machine's cores; what is
measured is everything else: handing out, sending rows back, writing and committing parts in the
driver. The simulation takes these measured costs to 1,000 workers and a billion images.
"""

from __future__ import annotations

import heapq
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.outcome import Outcome, held
from bench.timing import Rate
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.selection import Selection
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

    from bench.contests import Options

UNIT, CLASSES, SECONDS, UNITS_EACH = 2048, 20, 2.0, 8
"""Images per unit, classes, seconds that a unit sleeps (1,024 images/s), units per worker."""
WORKERS = (1, 2, 4, 8, 16)
EFFICIENCY = 95
SIMULATED = (1, 16, 100, 300, 1000)
IMAGES = 10**9
SPREAD = 0.1
"""Standard deviation of a unit's duration in the simulation, relative to its mean."""
NAMES = tuple(f"class{number:02d}" for number in range(CLASSES))


@dataclass(frozen=True)
class Unit:
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


@dataclass
class Committed:
    """What the driver did: seconds from the first to the last unit, and in its own commits."""

    seconds: float
    commit: float
    merge: float
    data: bytes


def run(options: Options) -> Iterator[Outcome]:
    """Measure efficiency by the number of workers, then simulate."""
    found: dict[int, list[Committed]] = {workers: [] for workers in WORKERS}
    with closing(RayCluster("ray")):  # the others join it
        for repeat in range(options.repeats):
            for workers in WORKERS:
                file = options.scratch / f"cluster-{repeat}-{workers}.csv"
                found[workers].append(committed(file, workers, units=UNITS_EACH * workers))
    same = all(
        made.data == serial(options.scratch, UNITS_EACH * workers)
        for workers, each in found.items()
        for made in each
    )
    efficiency = {
        f"{workers} workers": Rate(
            tuple(100 * UNITS_EACH * SECONDS / made.seconds for made in each)
        )
        for workers, each in found.items()
    }
    last = found[WORKERS[-1]]
    units = UNITS_EACH * WORKERS[-1]
    commit = float(np.median([made.commit / units for made in last]))
    merge = float(np.median([made.merge / units for made in last]))
    reached = efficiency[f"{WORKERS[-1]} workers"].median
    yield Outcome(
        contest="cluster",
        title=f"share of the ideal rate by workers that sleep {SECONDS:g} s per unit of {UNIT} "
        "images, CSV, one driver",
        unit="% of ideal",
        rates=efficiency,
        key={"part": "scaling"},
        facts={"bytes equal": same, "seconds per commit": commit, "merge per unit": merge},
        lines=(
            (
                f"at 16 workers {reached:.1f}% of ideal, {EFFICIENCY}% wanted: "
                f"{held(reached >= EFFICIENCY)}; rows equal those of one process: {held(same)}"
            ),
        ),
    )
    yield simulated(commit)


def committed(file: Path, workers: int, *, units: int) -> Committed:
    """Score units with some workers of a cluster of its own; the driver commits and joins."""
    form, spent = csv(), 0.0

    def commit(number: int, rows: Rows) -> None:
        ledger.commit(number, UnitRecord(UNIT), lambda part: form.write(part, rows))

    with open_ledger(file, {"bench": units}, suffix=form.suffix, overwrite=True) as ledger:
        cluster = RayCluster("ray")
        transport = RayTransport(cluster, Sleeping(), Share(workers, 0, 0.0))
        with closing(Dispatcher(transport)) as dispatcher:
            begun = time.perf_counter()
            for message, _ in dispatcher.run(iter(map(Unit, range(units)))):
                started = time.perf_counter()
                commit(message.number, message.value)
                spent += time.perf_counter() - started
            seconds = time.perf_counter() - begun
        started = time.perf_counter()
        ledger.merge(units, form.merge)
    return Committed(seconds, spent, time.perf_counter() - started, file.read_bytes())


def csv() -> Any:
    """The format that writes the parts."""
    choice = choose(Path("rows.csv"), folder_format=None)
    return choice.open(NAMES, 0.5, selection=Selection(), origin={}, activation="sigmoid")


def serial(folder: Path, units: int) -> bytes:
    """The same rows, written in order without workers."""
    form, parts, whole = csv(), [], folder / "serial.csv"
    for number in range(units):
        parts.append(folder / f"serial-{number}")
        with parts[-1].open("wb") as part:
            form.write(part, rows_of(number))
    with whole.open("wb") as file:
        form.merge(file, parts)
    return whole.read_bytes()


def simulated(commit: float) -> Outcome:
    """Run the hand-out of a billion images in events, with one committer."""
    units = -(-IMAGES // UNIT)
    rates = {}
    for workers in SIMULATED:
        hours = simulate(units, workers=workers, unit=SECONDS, commit=commit) / 3600
        rates[f"{workers} workers"] = Rate((100 * units * SECONDS / workers / 3600 / hours,))
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
            (
                f"the committer binds at {binds} workers, {UNIT / commit:,.0f} images/s: then "
                "units of several outputs, or jobs without a driver (--units), go on"
            ),
        ),
    )


def simulate(units: int, *, workers: int, unit: float, commit: float, seed: int = 0) -> float:
    """Seconds until all units are committed.

    Workers have two units in hand, so none waits for its next unit unless the driver is two units
    late; the driver commits one after the other, and hands out after each.

    Args:
        units: number of units.
        workers: number of workers.
        unit: mean seconds of a unit on a worker.
        commit: seconds of the driver per unit.
        seed: of the durations.
    """
    durations = np.random.default_rng(seed).normal(unit, SPREAD * unit, units).clip(unit / 10)
    handed, driver = 0, 0.0
    free = [0.0] * workers  # when each has finished what it was handed
    finished: list[tuple[float, int]] = []
    for worker in list(range(workers)) * 2:
        if handed < units:
            free[worker] += durations[handed]
            heapq.heappush(finished, (free[worker], worker))
            handed += 1
    while finished:
        at, worker = heapq.heappop(finished)
        driver = max(driver, at) + commit
        if handed < units:
            free[worker] = max(free[worker], driver) + durations[handed]
            heapq.heappush(finished, (free[worker], worker))
            handed += 1
    return driver
