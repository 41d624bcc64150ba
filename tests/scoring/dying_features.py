"""A ledger with features that is killed before each touch of the disk.

A program of its own, because it forks, which a process with torch's threads should not.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import count
from pathlib import Path

import numpy as np
from dying import STEPS, forked, killed

from vocscore.scoring.formats.features_format import NpyFeatures
from vocscore.scoring.output.ledger import open_ledger
from vocscore.scoring.output.rows import Rows
from vocscore.scoring.output.unit_record import UnitRecord

VALUES = np.arange(20, dtype=np.float32).reshape(4, 5)
TEXT = "".join(f"row {i}\n" for i in range(4))


def run(output: Path, features: Path) -> None:
    """Write two units of two rows, over an old output too."""
    plan = {"output": {"features": {"path": str(features), "dtype": "float32"}}}
    form = NpyFeatures(np.dtype("<f4"))
    with open_ledger(
        output, plan, suffix=".csv", overwrite=True, features=(features, form)
    ) as ledger:
        for unit in range(2):
            if unit in ledger.records:
                continue
            at = slice(2 * unit, 2 * unit + 2)
            text = "".join(TEXT.splitlines(keepends=True)[at]).encode()
            rows = Rows(["a", "b"], np.zeros((2, 3), np.float32), {}, VALUES[at])
            ledger.commit(unit, UnitRecord(2), lambda file, text=text: file.write(text), rows=rows)
        ledger.merge(2, lambda file, parts: file.writelines(p.read_bytes() for p in parts))


def die_at_step(output: Path, features: Path, step: int) -> None:
    """Be killed before the file system is touched for the `step`-th time."""
    steps, folder = count(), str(output.parent.parent)

    def hook(event: str, args: tuple) -> None:
        if event in STEPS and str(args[0]).startswith(folder) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    run(output, features)


def at_each_step(folder: Path) -> int:
    """Kill at step 0, 1, ...; after each, let a second run finish. Return the number of steps."""
    for step in count():
        output, features = folder / str(step) / "a/out.csv", folder / str(step) / "b/f.npy"
        output.parent.mkdir(parents=True)
        died = killed(forked(lambda o=output, f=features, s=step: die_at_step(o, f, s)))
        for file, size in ((output, len(TEXT)), (features, 128 + VALUES.nbytes)):
            assert not file.exists() or file.stat().st_size == size, (step, file)
        if not died:
            return step
        assert not killed(forked(lambda o=output, f=features: run(o, f)))
        assert output.read_text() == TEXT, step
        assert np.array_equal(np.load(features), VALUES), step
        assert sorted(p.name for p in output.parent.iterdir()) == ["out.csv"], step
        assert sorted(p.name for p in features.parent.iterdir()) == ["f.npy"], step
    raise AssertionError


if __name__ == "__main__":
    sys.stdout.write(json.dumps(at_each_step(Path(sys.argv[1]))))
