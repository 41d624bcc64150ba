"""From the start of the process to the first scored images, beside `import torch`."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.outcome import Outcome
from bench.timing import interleave_seconds, timed_seconds

if TYPE_CHECKING:
    from pathlib import Path

    from bench.subjects import Subject

FILES = 10_000
LIMIT = 3.0
"""Times `import torch` that the start may take, with a compiled model at hand."""
IMPORT = "import torch"
FIRST = "vocscore score, to its first batch"


def measure_start(
    subject: Subject, images: Path, scratch: Path, *, repeats: int, files: int
) -> Outcome:
    """Seconds of whole processes.

    The first start of all, which may have to compile the network, is not among the repeats; it is
    stated beside them.

    Args:
        subject: the checkpoint.
        images: a folder of images; links to them make the large one.
        scratch: a folder to make.
        repeats: counted rounds.
        files: of the folder that is scored.
    """
    folder = scratch / "many"
    folder.mkdir(parents=True)
    sources = sorted(images.iterdir())
    for number, source in zip(range(files), itertools.cycle(sources)):
        os.link(source, folder / f"{number:09d}{source.suffix}")
    numbers = itertools.count()

    # else the network of an earlier benchmark is there, compiled
    environment = {**os.environ, "XDG_CACHE_HOME": str(scratch / "cache")}

    def first_batch() -> None:
        output = scratch / f"start-{next(numbers)}.csv"
        words = ["score", folder, "-m", subject.run, "-o", output, "--device", "cpu"]
        _python("-m", "bench.first_batch", *map(str, words), environment=environment)

    cold = timed_seconds(first_batch)
    rates = interleave_seconds(
        {IMPORT: lambda: _python("-c", "import torch"), FIRST: first_batch}, repeats=repeats
    )
    ratio = rates[FIRST].median / rates[IMPORT].median
    held = "held" if ratio <= LIMIT else "MISSED"
    return Outcome(
        contest="start",
        title=f"start, {subject.backbone}: process start to first batch, a folder of {files} files",
        rates=rates,
        unit="s",
        baseline=IMPORT,
        key={"backbone": subject.backbone},
        facts={"first_start_seconds": cold, "limit": LIMIT},
        lines=(
            f"{ratio:.1f} times {IMPORT} (at most {LIMIT:.0f}: {held})",
            f"the first start of all, with nothing compiled: {cold:.1f} s",
        ),
    )


def _python(*words: str, environment: dict[str, str] | None = None) -> None:
    subprocess.run([sys.executable, *words], check=True, env=environment)  # noqa: S603 - our own words
