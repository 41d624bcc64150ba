"""Seconds of whole scoring processes: to the first rows, and beside what `plan` predicts."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from bench import product
from bench.images import linked
from bench.outcome import Outcome, held
from bench.timing import Rate, interleave_seconds, timed_seconds
from vocscore.config.model import ModelConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.contests import Options

IMPORT, FIRST = "import torch", "vocscore score, to its first batch"
FILES = 10_000
MOST_IMPORTS = 3.0
"""The longest start, in multiples of `import torch`, when the compiled model is cached."""
PLANNED, MOST_WRONG = 2000, 0.2
"""Images of the plan; its largest error, as a share."""
PREDICTED, REAL = "vocscore plan, predicted", "vocscore score, real"
_PINNED = ("taskset", "--cpu-list")


def start(options: Options) -> Iterator[Outcome]:
    """Seconds from process start to the first scored images, beside `import torch`.

    The very first start, which may compile the network, is reported apart from the repeats.
    """
    images, scratch = options.image_set(100), options.scratch / "start"
    checkpoint, files = options.checkpoint(ModelConfig.backbone), options.images or FILES
    folder = linked(scratch / "many", itertools.islice(itertools.cycle(images.refs), files))
    outputs = (scratch / f"start-{number}.csv" for number in itertools.count())
    # an empty cache: otherwise the compiled network of an earlier benchmark would be used
    environment = {**os.environ, "XDG_CACHE_HOME": str(scratch / "cache")}

    def execute(words: Sequence[str]) -> None:
        subprocess.run(words, check=True, env=environment)  # noqa: S603 - our own words

    def first_batch() -> None:
        execute(product.score_words(checkpoint.run, folder, next(outputs), "first"))

    cold = timed_seconds(first_batch)
    imports = partial(execute, [sys.executable, "-c", "import torch"])
    rates = interleave_seconds({IMPORT: imports, FIRST: first_batch}, repeats=options.repeats)
    ratio = rates[FIRST].median / rates[IMPORT].median
    yield Outcome(
        contest="start",
        title=f"start, {checkpoint.backbone}: process start to first batch, {files} files",
        rates=rates,
        unit="s",
        ceilings={FIRST: IMPORT},
        key={**images.key, "backbone": checkpoint.backbone},
        facts={**images.facts, "first_start_seconds": cold, "limit": MOST_IMPORTS},
        lines=(
            f"{ratio:.1f} times {IMPORT} (at most {MOST_IMPORTS}: {held(ratio <= MOST_IMPORTS)})",
            f"the first start, with nothing compiled: {cold:.1f} s",
        ),
    )


def plan(options: Options) -> Iterator[Outcome]:
    """Seconds of a folder and of shards, and of the folder by two processes of a core each."""
    images, scratch = options.image_set(PLANNED), options.scratch / "plan"
    checkpoint = options.checkpoint(ModelConfig.backbone).run
    halves = [linked(scratch / str(half), images.refs[half::2]) for half in range(2)]
    shards = scratch / "set"
    product.pack_images(images.folder, shards, shard_samples=100)
    _scored(halves[:1], checkpoint, scratch / "first")  # compiles the network
    for name, source, parts in (
        ("folder", images.folder, [images.folder]),
        ("shards", shards, [shards]),
        ("folder", images.folder, halves),
    ):
        predicted, real = [], []
        for turn in range(options.repeats):
            where = scratch / f"{name}-{len(parts)}-{turn}"
            predicted.append(_predicted(source, checkpoint, where, processes=len(parts)))
            real.append(_scored(parts, checkpoint, where))
        wrong = max(abs(one / other - 1) for one, other in zip(predicted, real, strict=True))
        yield Outcome(
            contest="plan",
            title=f"plan: a {name} of {len(images.refs)} images, {len(parts)} process(es)",
            rates={PREDICTED: Rate(tuple(predicted)), REAL: Rate(tuple(real))},
            unit="s",
            key={**images.key, "source": name, "processes": str(len(parts))},
            facts={**images.facts, "most_wrong": wrong, "limit": MOST_WRONG},
            lines=(f"off by {wrong:.0%} at most: {held(wrong <= MOST_WRONG)}",),
        )


def _predicted(source: Path, checkpoint: Path, where: Path, *, processes: int) -> float:
    """Seconds that the command predicts; for several processes, measured on one core."""
    file = where.with_suffix(".json")
    pinned = [*_PINNED, "0"] if processes > 1 else []
    command = [*pinned, sys.executable, "-m", "vocscore", "plan", str(source)]
    command += ["-m", str(checkpoint), "--json", str(file), "--processes", str(processes)]
    command += ["--device", "cpu", "--no-ceilings", "--quiet"]
    subprocess.run(command, check=True)  # noqa: S603 - our own words
    seconds: float = json.loads(file.read_text())["planned"]["seconds"]
    return seconds


def _scored(sources: Sequence[Path], checkpoint: Path, where: Path) -> float:
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
