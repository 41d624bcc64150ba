"""Runs of the fake scoring that are killed: at each step of the file system, or at a moment.

A program of its own, because it forks, which a process with torch's threads should not.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from itertools import count
from pathlib import Path

from score_doubles import FakeLoader, score_fake

from vocscore.errors import ScoreError

STEPS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"}


def run(source: Path, output: Path, *, seconds_per_batch: float = 0.0) -> None:
    """Score; an output that is finished already is as good."""
    loader = FakeLoader(3, seconds_per_batch=seconds_per_batch)
    try:
        score_fake(source, output, loader=loader, unit_size=5)
    except ScoreError as error:
        if "already exists" not in str(error):
            raise


def forked(work) -> int:
    """Run something in a child; return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - a child must never return into the parent
        sys.stderr.write(repr(error))
        os._exit(1)
    os._exit(0)


def killed(child: int) -> bool:
    """Wait for a child; whether it was killed. Any other failure ends the program."""
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status) == signal.SIGKILL
    assert os.WEXITSTATUS(status) == 0
    return False


def die_at_step(source: Path, output: Path, step: int) -> None:
    """Score, and be killed before the file system is touched for the `step`-th time."""
    steps = count()

    def hook(event: str, args: tuple) -> None:
        if event in STEPS and str(args[0]).startswith(str(output.parent)) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    run(source, output)


def at_each_step(source: Path, folder: Path) -> int:
    """Kill at step 0, 1, ...; after each, let a second run finish. Return the number of steps."""
    for step in count():
        output = folder / str(step) / "out.csv"
        output.parent.mkdir()
        if not killed(forked(lambda o=output, s=step: die_at_step(source, o, s))):
            return step
        assert not killed(forked(lambda o=output: run(source, o)))
    raise AssertionError


def at_moments(source: Path, folder: Path, *, least: int) -> int:
    """Kill at seeded moments until the run ends; new runs until there were `least` kills.

    Returns the number of kills.
    """
    chance = random.Random(0)
    kills = 0
    for number in count():
        if kills >= least:
            return kills
        output = folder / str(number) / "out.csv"
        output.parent.mkdir()
        for attempt in count(1):  # given more and more time, so that a slow machine gets through
            child = forked(lambda o=output: run(source, o, seconds_per_batch=0.004))
            time.sleep(chance.uniform(0.0, 0.02 * attempt))
            os.kill(child, signal.SIGKILL)
            if not killed(child):
                break
            kills += 1
    raise AssertionError


if __name__ == "__main__":
    how, source, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if how == "steps":
        sys.stdout.write(json.dumps(at_each_step(source, folder)))
    else:
        sys.stdout.write(json.dumps(at_moments(source, folder, least=int(how))))
