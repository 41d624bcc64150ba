"""Trains small networks and is killed while it does; run as a program by `test_resume.py`.

    python train_and_die.py SHARDS FOLDER steps|epochs LIST_OF_SETTINGS

It forks, so it is a process of its own, without threads. It imports what a training needs before
that, or each child would. A child trains and kills itself: with 'steps' when it is about to touch
its folder for the first, the second, ... time; with 'epochs' after the first, the second, ...
epoch. Another child resumes. For each of the settings the parent prints a line of JSON: a list of
what each kill left.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

# the root first: tests/shards must not be taken for the package
sys.path += [str(Path(__file__).parents[up]) for up in (2, 1)]

import light_training
import numpy as np
import pytest
import tiny_backbone
import torch
from small_training import fit

import vocscore.training.run
import vocscore.training.setup
from vocscore.models.network import Network
from vocscore.runtime.precision import Fidelity
from vocscore.training.features import Features

if TYPE_CHECKING:
    from collections.abc import Iterator

PATCH = pytest.MonkeyPatch()  # for as long as this program lasts
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def die_at(step: int, out: Path) -> None:
    """Have this process kill itself when it is about to touch the folder for the nth time."""
    left = step

    def count(event: str, arguments: Any) -> None:
        nonlocal left
        if event in EVENTS and str(arguments[0]).startswith(str(out)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def child(shards: Path, out: Path, *, step: int = 0, epoch: int = 0, **settings: Any) -> bool:
    """Train in a child; whether it came to its end."""
    born = os.fork()
    if born == 0:
        torch.set_num_threads(1)
        if step:
            die_at(step, out)

        def die(result: Any) -> None:
            if result.epoch == epoch:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            fit(shards, out, on_epoch=die, **settings)
        except BaseException as error:  # noqa: BLE001 - said, and seen by the parent
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return os.waitpid(born, 0)[1] == 0


def make_light() -> None:
    """Put next to nothing in the place of what takes long and does not touch the folder."""

    def network(_backbone: str, *, classes: int, **_options: Any) -> Network:
        pool = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        return Network(pool, torch.nn.Linear(3, classes))

    def features(_backbone: Any, splits: Any, **_options: Any) -> list[Features]:
        generator = np.random.default_rng(0)
        made = (generator.normal(size=(len(split.images), 3)) for split in splits)
        return [
            Features(torch.from_numpy(values).float(), split.labels)
            for values, split in zip(made, splits, strict=True)
        ]

    vocscore.training.setup.build_network = network
    vocscore.training.setup.compute_features = features


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def main() -> None:
    """Kill the training at every step, or after every epoch."""
    # A killed process loses nothing that it has written; only a crash of the machine would.
    os.fsync = lambda _descriptor: None
    shards, folder, how = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    light_training.import_early()
    light_training.skip_charts(PATCH)
    tiny_backbone.register(PATCH)
    vocscore.training.run.measure_faithfulness = lambda *_, **_options: Fidelity(4, 0.0, 0.0)
    if how == "steps":
        make_light()
    for number, settings in enumerate(json.loads(sys.argv[4])):
        lines = list(kills(shards, folder / str(number), how, settings))
        sys.stdout.write(json.dumps(lines) + "\n")


def kills(
    shards: Path, folder: Path, how: str, settings: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Kill at one moment after the other, until a training comes to its end."""
    assert child(shards, folder / "expected", **settings)
    expected = content(folder / "expected")
    before: dict[str, bytes] | None = None
    for number in range(1, 200):
        out = folder / f"run{number}"
        at = {"step" if how == "steps" else "epoch": number}
        if child(shards, out, **at, **settings):
            break
        left = content(out) if out.is_dir() else {}
        if left == before:  # what a resume makes of it, we know
            continue
        before = left
        finished = "model.json" in left and "resume.pt" not in left
        resumed = finished or child(shards, out, resume=True, **settings)
        yield {"left": sorted(left), "resumed": resumed, "same": content(out) == expected}


if __name__ == "__main__":
    main()
