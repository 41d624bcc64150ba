"""Memory of whole scoring processes on images that are large when decoded, by number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from bench import product
from bench.large_drawing import FORMS
from bench.outcome import Outcome, held
from bench.processes import tiny_checkpoint, tiny_images, watched
from shards.images.budget import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.contests import Options

THREADS: Final = (2, 4, 8, 16)
PHOTOGRAPH, SCAN = (6000, 4000), (12_500, 8000)
"""Width and height: 24 and 100 megapixels."""
LINKS, LINKS_OF_SCANS = 12, 3
"""Names of each file: a thread takes eight images at a time."""
MOST_BESIDE: Final = 1.05
"""The largest peak beside that of tiny images, in multiples of the limit."""

_SCANS: Final = ("jpeg", "progressive", "png")


@dataclass(frozen=True)
class ThreadsRun:
    """One process: threads, peak of anonymous memory, seconds."""

    threads: int
    peak_bytes: int
    seconds: float


def large_images(options: Options) -> Iterator[Outcome]:
    """Peak memory of processes that score large images of ten kinds, with 2 to 16 threads."""
    checkpoint = tiny_checkpoint(options.scratch / "run-large")
    small = tiny_images(options.scratch / "small", 64)
    large = options.scratch / "large"
    large.mkdir()
    _write(large, PHOTOGRAPH, tuple(FORMS), options.images or LINKS)
    _write(large, SCAN, _SCANS, LINKS_OF_SCANS)
    base = run(small, checkpoint, threads=THREADS[0]).peak_bytes
    runs = [run(large, checkpoint, threads=threads) for threads in THREADS]
    most = max(one.peak_bytes for one in runs) - base
    files = sum(1 for _ in large.iterdir())
    goal = f"at most {MOST_BESIDE}: {held(most <= MOST_BESIDE * LIMIT)}"
    yield Outcome(
        contest="large",
        title=f"large: memory for {files} images of 24 and 100 megapixels, by number of threads",
        facts={
            "runs": list(map(asdict, runs)),
            "base_bytes": base,
            "limit": LIMIT,
            "files": files,
        },
        lines=(
            f"{'tiny images':>14s} {base / 2**20:8.0f} MiB",
            *(
                f"{one.threads:6d} threads {one.peak_bytes / 2**20:8.0f} MiB, "
                f"{(one.peak_bytes - base) / 2**20:6.0f} more, {one.seconds:6.1f} s"
                for one in runs
            ),
            f"{most / LIMIT:.2f} of the limit of {LIMIT / 2**20:.0f} MiB ({goal})",
        ),
    )


def run(source: Path, checkpoint: Path, *, threads: int) -> ThreadsRun:
    """Score a folder in a process with a number of decoding threads."""
    output = source.with_name(f"{source.name}-{threads}.csv")
    words = product.score_words(checkpoint, source, output, threads=threads)
    peak_bytes, seconds = watched(words, source, output)
    return ThreadsRun(threads, peak_bytes, seconds)


def _write(folder: Path, size: tuple[int, int], names: tuple[str, ...], links: int) -> None:
    """Write one image of each kind under several names; drawn of squares, so the files are small.

    Each kind is written by a process of its own: a large image stays in the memory of this one.
    """
    for name in names:
        subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-m", "bench.large_drawing", str(folder), name, *map(str, size)],
            check=True,
        )
        (first,) = folder.glob(f"00-{name}-{size[0]}.*")
        for number in range(1, links):
            os.link(first, folder / f"{number:02d}{first.name[2:]}")
