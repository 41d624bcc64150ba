"""Jobs that are killed before each of their touches of the file system, and others beside them.

A program of its own, because it forks, which a process with torch's threads should not.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from dying import forked, killed

from vocscore.scoring.inputs.units import LooseFiles
from vocscore.scoring.jobs.stores import open_store
from vocscore.scoring.output.ledger import Ledger
from vocscore.scoring.output.unit_record import UnitRecord

STEPS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link"}
UNITS = 2
INPUTS = LooseFiles("/in", [f"{i}.jpg" for i in range(UNITS)])
PLAN = {"parts": "marks"}


def text(number: int) -> bytes:
    """The rows of a unit."""
    return f"row {number}\n".encode()


def score(output: Path, numbers) -> bool:
    """Score some units as a job does; whether the output was there already."""
    store = open_store(output)
    ledger = Ledger(store)
    with ExitStack() as held:
        store.hold(held)
        store.settle()
        if output.exists():
            store.leave()
            return True
        if store.plan() is None:
            store.run.freeze(INPUTS)
        ledger.begin(PLAN, overwrite=False, discard=False)
    for number in numbers:
        if not store.is_committed(number):
            ledger.commit(
                number,
                UnitRecord(1),
                lambda file, number=number: file.write(text(number)),
                bad_records=b"[]\n" if number else b"",
            )
    return False


def merge(output: Path) -> None:
    """Write the output, once every unit is there."""
    store = open_store(output)
    with ExitStack() as held:
        store.publisher.hold(held)
        store.settle()
        if store.plan() is not None:
            ledger = Ledger(store)
            ledger.records = store.records()
            ledger.merge(UNITS, join)


def join(file, parts) -> None:
    """Join rows as CSV's format does."""
    for part in parts:
        file.write(part.read_bytes())


def whole(output: Path) -> None:
    """Everything: as one job, and the merge."""
    if not score(output, range(UNITS)):
        merge(output)


def die_at_step(output: Path, step: int) -> None:
    """Do everything, and be killed before the file system is touched for the `step`-th time."""
    steps = count()

    def hook(event: str, args: tuple) -> None:
        if event in STEPS and str(args[0]).startswith(str(output.parent)) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    whole(output)


def at_each_step(folder: Path) -> int:
    """Kill at step 0, 1, ...; after each, another process finishes. Return the number of steps."""
    expected = b"".join(map(text, range(UNITS)))
    for step in count():
        output = folder / str(step) / "out.csv"
        output.parent.mkdir(parents=True)
        done = not killed(forked(lambda o=output, s=step: die_at_step(o, s)))
        if output.exists():
            assert output.read_bytes() == expected, step  # never half of it
        if done:
            return step
        assert not killed(forked(lambda o=output: whole(o))), step
        assert output.read_bytes() == expected, step
        left = [path.name for path in output.parent.iterdir()]
        assert left == ["out.csv"], (step, left)
    raise AssertionError


def together(folder: Path, *, jobs: int) -> int:
    """Jobs of all units that overlap, of which the parent kills some; return the kills."""
    expected, chance, kills = b"".join(map(text, range(UNITS))), random.Random(0), 0
    for turn in range(6):
        output = folder / f"t{turn}" / "out.csv"
        output.parent.mkdir(parents=True)

        def job(seed: int, output: Path = output) -> None:
            numbers = list(range(UNITS))
            random.Random(seed).shuffle(numbers)
            score(output, numbers)

        running = [forked(lambda s=seed: job(s)) for seed in range(jobs)]
        for child in running[1:]:
            if chance.random() < 0.5:
                os.kill(child, signal.SIGKILL)
        kills += sum(killed(child) for child in running)
        merge(output)
        assert output.read_bytes() == expected
        assert [path.name for path in output.parent.iterdir()] == ["out.csv"]
    return kills


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    told = {"steps": at_each_step(folder / "steps"), "kills": together(folder, jobs=4)}
    sys.stdout.write(json.dumps(told))
