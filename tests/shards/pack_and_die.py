"""Packs a small set and is killed while it does; run as a program by `test_pack.py`.

    python pack_and_die.py FOLDER steps|overwrite|times|units

It forks, so it is a process of its own, without threads. A child packs and is killed: with
'steps' and 'overwrite' by itself, when it is about to touch the disk for the first, the second,
... time; with 'times' by its parent after random delays. With 'units' it packs in units, in a pool
of this process, which touches the disk for the workers as well. Then the parent looks at what is
there, packs again (with 'units' also, by turns, without a pool), and prints a line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from pack_pools import ShufflingPool
from small_sets import content, pack_small, small_set

import shards.packing.units_run
from shards.errors import DamageError
from shards.manifest import read_manifest
from shards.verify import verify

RESIZE = 8 if sys.argv[2:] == ["units"] else None  # then there are files of made images, too
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def die_at(step: int) -> None:
    """Have this process kill itself when it is about to touch the disk for the nth time."""
    left = step

    def count(event: str, _arguments: object) -> None:
        nonlocal left
        if event in EVENTS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def killed(folder: Path, *, step: int = 0, delay: float = 0, **changes: object) -> bool:
    """Pack in a child; whether it was killed before it was done."""
    child = os.fork()
    if child == 0:
        if step:
            die_at(step)
        pack(folder, **changes)
        os._exit(0)
    if delay:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] != 0


def pack(folder: Path, out: str = "out", **changes: object) -> None:
    """Pack the set of 14 images, two of which are bad."""
    annotated = small_set(folder / "in", bad=(4, 9))
    pack_small(annotated, folder / out, **{"max_bad": 0.5, "resize": RESIZE, **changes})


def look_and_go_on(folder: Path, **changes: object) -> dict[str, object]:
    """What a killed run has left, and what the next run makes of it."""
    out = folder / "out"
    try:
        read_manifest(out)
        state, problems = "whole", verify(out, decode=True)
    except DamageError as error:
        state, problems = str(error), []
    indexes = len(list(out.glob("*.idx")))
    pack(folder, **changes)
    same = content(out) == content(folder / "expected") and not (out / ".progress").exists()
    return {"state": state, "problems": problems, "indexes": indexes, "same": same}


def main() -> None:
    """Kill the run at every step, or at 30 moments."""
    # A killed process loses nothing that it has written; only a crash of the machine would. Waiting
    # for the disk a thousand times shows nothing here.
    os.fsync = lambda _descriptor: None
    folder, how = Path(sys.argv[1]), sys.argv[2]
    overwrite = how == "overwrite"
    pool = (lambda seed: ShufflingPool(seed, hands=3)) if how == "units" else (lambda _seed: None)
    shards.packing.units_run.CHECK_IMAGES = 2
    chance = random.Random(1)
    pack(folder, "expected")
    pack(folder, "old", shard_samples=4, classes=("dog", "person", "cat"))
    started = time.monotonic()
    pack(folder, "timed")
    seconds = time.monotonic() - started
    going_on, step = True, 0
    while going_on and step < (30 if how == "times" else 999):
        step += 1
        shutil.rmtree(folder / "out", ignore_errors=True)
        if overwrite:
            shutil.copytree(folder / "old", folder / "out")
        if how == "times":
            killed(folder, delay=chance.uniform(0, 1.5 * seconds), overwrite=False)
        else:
            changes = {"overwrite": overwrite, "pool": pool(step)}
            going_on = killed(folder, step=step, **changes)
        again = pool(step + 7) if step % 3 else None
        line = json.dumps(look_and_go_on(folder, overwrite=overwrite, pool=again))
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
