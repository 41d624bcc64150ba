"""What one more input costs: peak memory of whole `vocscore score` processes, and listing time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from bench.outcome import Outcome
from shards.classes import VOC_CLASSES
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import save_checkpoint
from vocscore.models.network import build_network
from vocscore.pipeline.preprocess import Preprocess
from vocscore.scoring.inputs.walk import walk

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT_BYTES = 300
"""A process may grow by so much for each input."""
INPUTS = (2_000, 2_000, 2_000, 20_000, 200_000)
"""The peak of equal runs differs by some 30 MB, so the smallest is taken more than once."""
LISTED = 1_000_000
BACKBONE = "squeezenet1_1"
SIZE = 32
_LINKS_A_FILE = 30_000  # ext4 allows 65,000
_SECONDS_BETWEEN_LOOKS = 0.02


@dataclass(frozen=True)
class Run:
    """One process, from its start to its end.

    Attributes:
        inputs: images scored.
        peak_bytes: the most memory of its own that it held (resident, without files' pages).
        seconds: that it took.
    """

    inputs: int
    peak_bytes: int
    seconds: float


@dataclass(frozen=True)
class Listing:
    """One folder, listed.

    Attributes:
        files: in it.
        seconds: that it took.
        calls: of the progress.
    """

    files: int
    seconds: float
    calls: int


def compare_memory(inputs: Sequence[int], *, listed: int) -> Outcome:
    """Peaks of whole processes from folder to CSV, and the time of listing one large folder.

    Args:
        inputs: of each run.
        listed: files of the large folder.
    """
    runs = measure_memory(inputs)
    slope = bytes_an_input(runs)
    listing = measure_listing(listed)
    return Outcome(
        contest="memory",
        title="memory: whole processes from folder to CSV",
        facts={
            "runs": [asdict(run) for run in runs],
            "listing": asdict(listing),
            "bytes_an_input": slope,
            "limit": LIMIT_BYTES,
        },
        lines=_sentences(runs, slope, listing),
    )


def _sentences(runs: Sequence[Run], slope: float, listing: Listing) -> tuple[str, ...]:
    held = "held" if slope <= LIMIT_BYTES else "BROKEN"
    return (
        *(f"{r.inputs:9d} inputs  {r.peak_bytes / 1e6:7.1f} MB  {r.seconds:6.1f} s" for r in runs),
        f"{slope:.0f} bytes an input (at most {LIMIT_BYTES}: {held})",
        f"{listing.files} files listed in {listing.seconds:.1f} s, {listing.calls} signs of life",
    )


def measure_memory(inputs: Sequence[int]) -> list[Run]:
    """Score folders of so many tiny images, each in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = _checkpoint(Path(scratch, "run"))
        return [
            _score(_images(Path(scratch, f"{turn}-{number}"), number), checkpoint)
            for turn, number in enumerate(inputs)
        ]


def bytes_an_input(runs: Sequence[Run]) -> float:
    """How much a process grows with each input: the slope of the line through the runs."""
    slope, _ = np.polyfit([run.inputs for run in runs], [run.peak_bytes for run in runs], 1)
    return float(slope)


def measure_listing(files: int) -> Listing:
    """List one folder of so many empty files, as `score` does."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(files):
            os.close(os.open(f"{folder}/{_name(number)}", os.O_CREAT | os.O_WRONLY))
        calls: list[int] = []
        started = time.perf_counter()
        found = walk(folder, listing=calls.append)
        seconds = time.perf_counter() - started
    if len(found.images) != files:
        raise ValueError(f"{len(found.images)} of {files} files were found")
    return Listing(files, seconds, len(calls))


def _name(number: int) -> str:
    """A name of 40 characters: longer than a camera's, shorter than a web crawl's."""
    return f"photographs-of-2026-series-{number:09d}.jpg"


def _checkpoint(folder: Path) -> Path:
    torch.manual_seed(0)
    network = build_network(BACKBONE, classes=len(VOC_CLASSES), weights="none", size=SIZE)
    card = ModelCard(BACKBONE, VOC_CLASSES, Preprocess(size=SIZE), 0.5, "none")
    save_checkpoint(folder, network, card)
    return folder


def _images(folder: Path, number: int) -> Path:
    """16x16 JPEGs under many names each (hard links)."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    for index in range(number):
        name = folder / _name(index)
        if index % _LINKS_A_FILE == 0:
            first = name
            Image.fromarray(noise.integers(0, 256, (16, 16, 3), np.uint8)).save(first)
        else:
            os.link(first, name)
    return folder


def _score(source: Path, checkpoint: Path) -> Run:
    """Run the command and look at its memory until it ends.

    The system's own figure for the peak will not do: it has the pages of libraries in it, of which
    100 MB are only touched when the process ends, and hides all that a folder costs.

    Raises:
        ValueError: it failed, or wrote another number of rows.
    """
    output = source.with_suffix(".csv")
    words = ["score", source, "-m", checkpoint, "-o", output, "--device", "cpu", "--quiet"]
    command = [sys.executable, "-m", "vocscore", *map(str, words)]
    started = time.perf_counter()
    process = subprocess.Popen(command)  # noqa: S603 - our own words
    peak_bytes = 0
    while process.poll() is None:
        peak_bytes = max(peak_bytes, _own_bytes(process.pid))
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    seconds = time.perf_counter() - started
    with output.open("rb") as lines:
        rows = sum(1 for _ in lines) - 1
    inputs = sum(1 for _ in source.iterdir())
    if process.returncode or rows != inputs:
        raise ValueError(f"exit code {process.returncode}, {rows} rows for {inputs} inputs")
    return Run(inputs, peak_bytes, seconds)


def _own_bytes(process: int) -> int:
    """The anonymous memory of a process; 0 when it has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return 1024 * int(next(found, 0))
