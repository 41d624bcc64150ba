"""Whole scoring processes: time to the first rows, and memory per additional input."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from bench import product
from bench.outcome import Outcome, held
from bench.timing import interleave_seconds, timed_seconds
from shards.classes import VOC_CLASSES
from vocscore.config.model import ModelConfig
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import save_checkpoint
from vocscore.models.network import build_network
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.contests import Options

IMPORT, FIRST = "import torch", "vocscore score, to its first batch"
FILES = 10_000
MOST_IMPORTS = 3.0
"""The longest start, in multiples of `import torch`, when the compiled model is cached."""
MOST_BYTES = 300
"""The largest growth of a process per input."""
SMALLEST, TIMES = 2_000, (1, 1, 1, 10, 100)
"""Inputs of the smallest run, and of each run in multiples of it. Peaks of equal runs differ by
about 30 MB, so the smallest is run three times."""
_LINKS_A_FILE = 30_000  # ext4 allows 65,000
_SECONDS_BETWEEN_LOOKS = 0.02


def start(options: Options) -> Iterator[Outcome]:
    """Seconds from process start to the first scored images, beside `import torch`.

    The very first start, which may compile the network, is reported apart from the repeats.
    """
    images, scratch = options.image_set(100), options.scratch / "start"
    checkpoint, files = options.checkpoint(ModelConfig.backbone), options.images or FILES
    folder = scratch / "many"
    folder.mkdir(parents=True)
    for number, ref in zip(range(files), itertools.cycle(images.refs)):
        os.link(ref.file, folder / f"{number:09d}{Path(ref.file).suffix}")
    outputs = (scratch / f"start-{number}.csv" for number in itertools.count())
    # an empty cache: otherwise the compiled network of an earlier benchmark would be used
    environment = {**os.environ, "XDG_CACHE_HOME": str(scratch / "cache")}

    def execute(words: Sequence[str]) -> None:
        subprocess.run(words, check=True, env=environment)  # noqa: S603 - our own words

    def first_batch() -> None:
        execute(product.score_words(checkpoint.run, folder, next(outputs), first_batch=True))

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


@dataclass(frozen=True)
class MemoryRun:
    """One process: images scored, peak of anonymous memory, seconds."""

    inputs: int
    peak_bytes: int
    seconds: float


def memory(options: Options) -> Iterator[Outcome]:
    """Peak memory of processes that score folders of tiny images."""
    smallest = options.images or SMALLEST
    checkpoint = tiny_checkpoint(options.scratch / "run")
    folders = (options.scratch / f"inputs-{turn}" for turn in itertools.count())
    runs = [_score(tiny_images(next(folders), smallest * n), checkpoint) for n in TIMES]
    slope = bytes_per_input(runs)
    yield Outcome(
        contest="memory",
        title="memory: whole processes from folder to CSV",
        facts={"runs": list(map(asdict, runs)), "bytes_an_input": slope, "limit": MOST_BYTES},
        lines=(
            *(
                f"{r.inputs:9d} inputs {r.peak_bytes / 1e6:8.1f} MB {r.seconds:7.1f} s"
                for r in runs
            ),
            f"{slope:.0f} bytes per input (at most {MOST_BYTES}: {held(slope <= MOST_BYTES)})",
        ),
    )


def bytes_per_input(runs: Sequence[MemoryRun]) -> float:
    """Growth of a process per input: the slope of the line through the runs."""
    slope, _ = np.polyfit([run.inputs for run in runs], [run.peak_bytes for run in runs], 1)
    return float(slope)


def tiny_checkpoint(folder: Path) -> Path:
    """Save a small network without training, so that images are what takes memory."""
    torch.manual_seed(0)
    network = build_network("squeezenet1_1", classes=len(VOC_CLASSES), weights="none", size=32)
    card = ModelCard("squeezenet1_1", VOC_CLASSES, Preprocess(size=32), 0.5, "none")
    save_checkpoint(folder, network, card)
    return folder


def tiny_images(folder: Path, number: int) -> Path:
    """16x16 JPEGs under many names each (hard links); a name has 40 characters."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    for index in range(number):
        name = folder / f"photographs-of-2026-series-{index:09d}.jpg"
        if index % _LINKS_A_FILE == 0:
            first = name
            Image.fromarray(noise.integers(0, 256, (16, 16, 3), np.uint8)).save(first)
        else:
            os.link(first, name)
    return folder


def _score(source: Path, checkpoint: Path) -> MemoryRun:
    """Score in a new process."""
    output = source.with_suffix(".csv")
    peak_bytes, seconds = watched(product.score_words(checkpoint, source, output), source, output)
    return MemoryRun(sum(1 for _ in source.iterdir()), peak_bytes, seconds)


def watched(words: Sequence[str], source: Path, output: Path) -> tuple[int, float]:
    """Run a process that scores a folder, and poll its memory until it ends.

    The kernel's own peak (VmHWM) includes pages of libraries, 100 MB of which are touched only at
    exit; that hides the cost of a folder.

    Returns:
        The peak of its anonymous memory, bytes, and seconds.
    """
    started, peak_bytes = time.perf_counter(), 0
    process = subprocess.Popen(words)  # noqa: S603 - our own words
    while process.poll() is None:
        peak_bytes = max(peak_bytes, _own_bytes(process.pid))
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    seconds = time.perf_counter() - started
    rows = len(output.read_bytes().splitlines()) - 1 if output.exists() else 0
    inputs = sum(1 for _ in source.iterdir())
    if process.returncode or rows != inputs:
        raise ValueError(f"exit code {process.returncode}, {rows} rows for {inputs} inputs")
    return peak_bytes, seconds


def _own_bytes(process: int) -> int:
    """Anonymous memory of a process; 0 if it has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return 1024 * int(next(found, 0))
