"""A ledger with a folder of parts that is killed before each touch of the disk.

A program of its own, because it forks, which a process with torch's threads should not.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import count
from pathlib import Path

from dying import STEPS, forked, killed

from vocscore.scoring.output.ledger import open_ledger
from vocscore.scoring.output.unit_record import UnitRecord

NEW = {f"part-{i:06d}.csv": f"new {i}\n" for i in range(3)}
OLD = {f"part-{i:06d}.csv": f"old {i}\n" for i in range(5)}


def run(output: Path) -> None:
    """Make the folder, over an old one too; one that is finished already is as good."""
    with open_ledger(output, {"a": 1}, suffix=".csv", overwrite=True, folder=True) as ledger:
        for number, text in enumerate(NEW.values()):
            if number not in ledger.records:
                ledger.commit(
                    number, UnitRecord(1), lambda file, text=text: file.write(text.encode())
                )
        ledger.merge(len(NEW), lambda file, parts: 1 / 0)


def die_at_step(output: Path, step: int) -> None:
    """Be killed before the file system is touched for the `step`-th time."""
    steps = count()

    def hook(event: str, args: tuple) -> None:
        if event in STEPS and str(args[0]).startswith(str(output.parent)) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    run(output)


def found(output: Path) -> dict[str, str] | None:
    """What a reader sees under the output's name."""
    if not output.exists():
        return None
    return {path.name: path.read_text() for path in output.iterdir()}


def at_each_step(folder: Path, *, old: bool) -> int:
    """Kill at step 0, 1, ...; after each, let a second run finish. Return the number of steps."""
    for step in count():
        output = folder / str(step) / "out"
        output.parent.mkdir(parents=True)
        if old:
            output.mkdir()
            for name, text in OLD.items():
                (output / name).write_text(text)
        if not killed(forked(lambda o=output, s=step: die_at_step(o, s))):
            return step
        assert found(output) in (OLD if old else None, None, NEW), (step, found(output))
        assert not killed(forked(lambda o=output: run(o)))
        assert found(output) == NEW, (step, found(output))
        assert os.listdir(output.parent) == ["out"], step  # noqa: PTH208 - names only
    raise AssertionError


if __name__ == "__main__":
    sys.stdout.write(json.dumps(at_each_step(Path(sys.argv[1]), old=sys.argv[2] == "old")))
