"""Runs of a real network that are killed at seeded moments.

A program of its own, because it forks; torch is imported before, and first used in the children.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from importlib import import_module
from itertools import count
from pathlib import Path

from dying import forked, killed
from tiny_network import run

from vocscore.errors import ScoreError

LATE = (
    "openvino",
    "vocscore.models.checkpoint",
    "vocscore.pipeline.loaders",
    "vocscore.runtime.auto_precision",
    "vocscore.scoring.engines.factory",
    "vocscore.scoring.engines.inference",
)
"""What a run imports when it first needs it: most kills would meet a child that imports it."""


def score(source: Path, checkpoint: Path, folder: Path) -> None:
    """Score with a quarantine; an output that is finished already is as good."""
    try:
        run(source, folder / "out.csv", checkpoint, unit_size=8, quarantine=folder / "q")
    except ScoreError as error:
        if "already exists" not in str(error):
            raise


def content(folder: Path) -> dict[str, object]:
    """Every file; of the record, all but when it was made and by how many runs."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    found: dict[str, object] = {str(f.relative_to(folder)): f.read_bytes() for f in files}
    record = json.loads((folder / "out.csv.json").read_bytes())
    own = ("started", "finished", "seconds", "resumed")
    found["out.csv.json"] = {name: value for name, value in record.items() if name not in own}
    return found


def main(source: Path, checkpoint: Path, folder: Path) -> None:
    """Kill 20 times, and until half as many kills left something to go on from; print what came."""
    for name in LATE:
        import_module(name)
    undisturbed = folder / "undisturbed"
    for output in (folder / "first", undisturbed):  # the first one compiles the network, for all
        output.mkdir(parents=True)
        started = time.monotonic()
        assert not killed(forked(lambda o=output: score(source, checkpoint, o)))
        seconds = time.monotonic() - started
    expected, chance = content(undisturbed), random.Random(0)
    told = {"kills": 0, "resumed": 0, "differing": []}
    for number in count():
        if told["kills"] >= 20 and told["resumed"] > 10:
            break
        output = folder / str(number)
        output.mkdir()
        for attempt in count():  # given more and more time, so that a busy machine gets through
            parts = output / "out.csv.parts"
            told["resumed"] += parts.exists() and any(parts.glob("part-*.json"))
            child = forked(lambda o=output: score(source, checkpoint, o))
            time.sleep(chance.uniform(0.2, 1.0 + 0.1 * attempt) * seconds)
            os.kill(child, signal.SIGKILL)
            if not killed(child):
                break
            told["kills"] += 1
        told["differing"] += [] if content(output) == expected else [number]
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
