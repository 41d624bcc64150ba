"""`vocscore plan` beside the runs that it predicts, from process start to finished output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench import product
from bench.outcome import Outcome, held
from bench.timing import Rate
from vocscore.config.model import ModelConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.contests import Options

_PINNED = ("taskset", "--cpu-list")
IMAGES, MOST_WRONG = 2000, 0.2
PREDICTED, REAL = "vocscore plan, predicted", "vocscore score, real"


def run(options: Options) -> Iterator[Outcome]:
    """Seconds of a folder and of shards, and of the folder by two processes of a core each."""
    images, scratch = options.image_set(IMAGES), options.scratch / "plan"
    checkpoint = options.checkpoint(ModelConfig.backbone).run
    scratch.mkdir()
    halves, table, shards = [scratch / "0", scratch / "1"], scratch / "labels.csv", scratch / "set"
    for half in halves:
        half.mkdir()
    for number, ref in enumerate(images.refs):
        os.link(ref.file, halves[number % 2] / ref.name)
    rows = [f"{ref.name},{n % 2},{1 - n % 2}\n" for n, ref in enumerate(images.refs)]
    table.write_text("".join(["path,a,b\n", *rows]))
    product.pack(images.folder, shards, labels=table, shard_samples=100)
    _real(halves[:1], checkpoint, scratch / "first")  # compiles the network
    for name, source, parts in (
        ("folder", images.folder, [images.folder]),
        ("shards", shards, [shards]),
        ("folder", images.folder, halves),
    ):
        predicted, real = [], []
        for turn in range(options.repeats):
            where = scratch / f"{name}-{len(parts)}-{turn}"
            predicted.append(_predicted(source, checkpoint, where, processes=len(parts)))
            real.append(_real(parts, checkpoint, where))
        rates = {PREDICTED: Rate(tuple(predicted)), REAL: Rate(tuple(real))}
        wrong = max(abs(one / other - 1) for one, other in zip(predicted, real, strict=True))
        yield Outcome(
            contest="plan",
            title=f"plan: a {name} of {len(images.refs)} images, {len(parts)} process(es)",
            rates=rates,
            unit="s",
            key={**images.key, "source": name, "processes": str(len(parts))},
            facts={**images.facts, "most_wrong": wrong, "limit": MOST_WRONG},
            lines=(f"off by {wrong:.0%} at most: {held(wrong <= MOST_WRONG)}",),
        )


def _predicted(source: Path, checkpoint: Path, where: Path, *, processes: int) -> float:
    """Seconds that the command predicts; for several processes, measured on one core."""
    file = where.with_suffix(".json")
    words = [*_PINNED, "0"] if processes > 1 else []
    words += [
        sys.executable,
        "-m",
        "vocscore",
        "plan",
        str(source),
        "-m",
        str(checkpoint),
        "--no-ceilings",
        "--json",
        str(file),
        "--quiet",
    ]
    words += ["--processes", str(processes), "--device", "cpu"]
    subprocess.run(words, check=True)  # noqa: S603 - our own words
    seconds: float = json.loads(file.read_text())["planned"]["seconds"]
    return seconds


def _real(sources: Sequence[Path], checkpoint: Path, where: Path) -> float:
    """Seconds until the last of several processes has ended; each has a core if there are two."""
    started = time.perf_counter()
    running = []
    for core, source in enumerate(sources):
        words = product.score_words(checkpoint, source, where.with_suffix(f".{core}.csv"))
        pinned = [*_PINNED, str(core)] if len(sources) > 1 else []
        running.append(subprocess.Popen([*pinned, *words]))  # noqa: S603 - our own words
    if any([process.wait() for process in running]):  # noqa: C419 - waits for all of them
        raise ValueError(f"{where}: a process failed")
    return time.perf_counter() - started
