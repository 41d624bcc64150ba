"""Memory of whole scoring processes: per additional input, and on images that are large.

`python -m bench.memory FOLDER WIDTH HEIGHT FORM ...` writes large images: in a process of its own,
because they stay in the memory of the one that has drawn them.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from bench import product
from bench.outcome import Outcome, held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.contests import Options

MOST_BYTES = 300
"""The largest growth of a process per input."""
SMALLEST, TIMES = 2_000, (1, 1, 1, 10, 100)
"""Inputs of the smallest run, and of each run in multiples of it. Peaks of equal runs differ by
about 30 MB, so the smallest is run three times."""
THREADS = (2, 4, 8, 16)
PHOTOGRAPH, SCAN = (6000, 4000), (12_500, 8000)
"""Width and height: 24 and 100 megapixels."""
LINKS, LINKS_OF_SCANS = 12, 3
"""Names of each large file: a thread takes eight images at a time."""
MOST_BESIDE = 1.05
"""The largest peak beside that of tiny images, in multiples of the limit."""
FORMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("RGB", "jpg", {}),
    "progressive": ("RGB", "jpg", {"progressive": True, "subsampling": "4:4:4"}),
    "inks": ("CMYK", "jpg", {"progressive": True}),
    "png": ("RGB", "png", {"compress_level": 1}),
    "alpha": ("LA", "png", {"compress_level": 1}),
    "deep": ("I;16", "png", {"compress_level": 1}),
    "lzw": ("RGB", "tif", {"compression": "tiff_lzw"}),
    "fax": ("1", "tif", {"compression": "group4"}),
    "webp": ("RGB", "webp", {"quality": 50, "method": 0}),
    "palette": ("P", "gif", {}),
}
"""Form of a large image -> mode, suffix and options of Pillow."""
_SCANS = ("jpeg", "progressive", "png")
_LINKS_A_FILE = 30_000  # ext4 allows 65,000
_SECONDS_BETWEEN_LOOKS = 0.02


@dataclass(frozen=True)
class MemoryRun:
    """One process: images scored, peak of anonymous memory, seconds."""

    inputs: int
    peak_bytes: int
    seconds: float


def per_input(options: Options) -> Iterator[Outcome]:
    """Peak memory of processes that score folders of tiny images."""
    smallest = options.images or SMALLEST
    checkpoint = _checkpoint(options.scratch / "run")
    folders = (options.scratch / f"inputs-{turn}" for turn in itertools.count())
    runs = [watched(checkpoint, _tiny_images(next(folders), smallest * n)) for n in TIMES]
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


def large(options: Options) -> Iterator[Outcome]:
    """Peak memory of processes that score large images of ten forms, by number of threads."""
    from shards.images.budget import LIMIT

    checkpoint = _checkpoint(options.scratch / "run-large")
    small, folder = _tiny_images(options.scratch / "small", 64), options.scratch / "large"
    folder.mkdir()
    _write(folder, PHOTOGRAPH, tuple(FORMS), options.images or LINKS)
    _write(folder, SCAN, _SCANS, LINKS_OF_SCANS)
    base = watched(checkpoint, small, threads=THREADS[0]).peak_bytes
    runs = {threads: watched(checkpoint, folder, threads=threads) for threads in THREADS}
    most = max(run.peak_bytes for run in runs.values()) - base
    files = sum(1 for _ in folder.iterdir())
    goal = f"at most {MOST_BESIDE}: {held(most <= MOST_BESIDE * LIMIT)}"
    yield Outcome(
        contest="large",
        title=f"large: memory for {files} images of 24 and 100 megapixels, by number of threads",
        facts={
            "runs": [
                {"threads": threads, "peak_bytes": run.peak_bytes, "seconds": run.seconds}
                for threads, run in runs.items()
            ],
            "base_bytes": base,
            "limit": LIMIT,
            "files": files,
        },
        lines=(
            f"{'tiny images':>14s} {base / 2**20:8.0f} MiB",
            *(
                f"{threads:6d} threads {run.peak_bytes / 2**20:8.0f} MiB, "
                f"{(run.peak_bytes - base) / 2**20:6.0f} more, {run.seconds:6.1f} s"
                for threads, run in runs.items()
            ),
            f"{most / LIMIT:.2f} of the limit of {LIMIT / 2**20:.0f} MiB ({goal})",
        ),
    )


def watched(checkpoint: Path, source: Path, *, threads: int | None = None) -> MemoryRun:
    """Score a folder in a process of its own, and poll its memory until it ends.

    The kernel's own peak (VmHWM) includes pages of libraries, 100 MB of which are touched only at
    exit; that hides the cost of a folder.

    Raises:
        ValueError: the process failed, or there is not one row per file.
    """
    output = source.with_name(f"{source.name}-{threads}.csv")
    words = product.score_words(checkpoint, source, output, *([] if threads is None else [threads]))
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
    return MemoryRun(inputs, peak_bytes, seconds)


def _own_bytes(process: int) -> int:
    """Anonymous memory of a process; 0 if it has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return 1024 * int(next(found, 0))


def _checkpoint(folder: Path) -> Path:
    """A small network without training, so that images are what takes memory.

    The process that compiles it, the first, takes 100 MB more than others: it is not counted.
    """
    from bench.checkpoints import save_untrained

    run = save_untrained(folder, size=32)
    watched(run, _tiny_images(folder.with_name(f"{folder.name}-first"), 1))
    return run


def _tiny_images(folder: Path, number: int) -> Path:
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


def _write(folder: Path, size: tuple[int, int], forms: Sequence[str], links: int) -> None:
    """Write one image of each form under several names."""
    words = [sys.executable, "-m", "bench.memory", str(folder), *map(str, size), *forms]
    subprocess.run(words, check=True)  # noqa: S603 - our own words
    for first in list(folder.glob(f"00-*-{size[0]}.*")):
        for number in range(1, links):
            os.link(first, folder / f"{number:02d}{first.name[2:]}")


def draw(folder: Path, width: int, height: int, form: str) -> None:
    """Write an image of squares, whose file is small."""
    mode, suffix, words = FORMS[form]
    squares = np.random.default_rng(0).integers(0, 256, (height // 100, width // 100, 3), np.uint8)
    image = Image.fromarray(squares).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    enlarged = image.resize((width, height), Image.Resampling.NEAREST)
    enlarged.save(folder / f"00-{form}-{width}.{suffix}", **words)


if __name__ == "__main__":
    for _form in sys.argv[4:]:
        draw(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), _form)
