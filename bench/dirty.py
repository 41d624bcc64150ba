"""What bad files cost: a clean folder beside the same folder with 30% bad ones."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from bench.outcome import Outcome
from bench.timing import interleave
from shards.sample import ImageRef
from vocscore.config import ScoreConfig
from vocscore.machine import usable_cores
from vocscore.pipeline.loaders import open_loader
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vocscore.pipeline.batch import ImageLoader

BAD_SHARE = 0.3
LEAST_RATE = 1 / 3
"""Of a clean folder's rate, that one with `BAD_SHARE` must keep."""


def damaged(data: bytes, kind: str) -> bytes:
    """One of the ways in which files of real folders are bad."""
    middle = len(data) // 2
    if kind == "cut":
        return data[:middle]
    if kind == "zeroed":
        return data[:middle] + bytes(4096) + data[middle + 4096 :]
    return b"<!doctype html><title>404</title>"


def dirty_refs(images: Sequence[ImageRef], folder: Path) -> list[ImageRef]:
    """The images, 30% of them (three in a row of ten) damaged in turn, in a folder of its own."""
    folder.mkdir()
    kinds, refs = cycle(["cut", "zeroed", "html"]), []
    for number, ref in enumerate(images):
        data = Path(ref.file).read_bytes()
        bad = number % 10 < 10 * BAD_SHARE
        file = folder / ref.name
        file.write_bytes(damaged(data, next(kinds)) if bad else data)
        refs.append(ImageRef(ref.name, str(file)))
    return refs


def _count(loader: ImageLoader, images: Sequence[ImageRef], *, bad: int) -> int:
    """Go through all; a contestant that finds another number of bad files is no contestant."""
    rows = failures = 0
    for batch in loader.batches(images):
        rows += len(batch.rows)
        failures += len(batch.failures)
    if failures != bad or rows + failures != len(images):
        raise ValueError(f"{failures} bad of {rows + failures}, not {bad} of {len(images)}")
    return rows + failures


def compare_dirty(images: Sequence[ImageRef], scratch: Path, *, repeats: int) -> Outcome:
    """Inputs (good and bad) per second, files to batches, of each loader; and the share kept.

    Args:
        images: good ones.
        scratch: a folder to make for the dirty twin.
        repeats: counted rounds.
    """
    dirty = dirty_refs(images, scratch)
    bad = sum(number % 10 < 10 * BAD_SHARE for number in range(len(images)))
    loaders = {
        name: open_loader(
            name,
            Preprocess(),
            batch_size=ScoreConfig.batch_size,
            device="cpu",
            threads=usable_cores(),
            max_pixels=ScoreConfig.max_pixels,
        )
        for name in ("host", "dali")
    }
    work = {}
    for name, loader in loaders.items():
        work[f"{name}, clean"] = lambda loader=loader: _count(loader, images, bad=0)
        work[f"{name}, 30% bad"] = lambda loader=loader: _count(loader, dirty, bad=bad)
    try:
        rates = interleave(work, repeats=repeats)
    finally:
        for loader in loaders.values():
            loader.close()
    kept = {n: rates[f"{n}, 30% bad"].median / rates[f"{n}, clean"].median for n in loaders}
    return Outcome(
        contest="dirty",
        title="dirty: inputs from file to batch on the CPU, good and bad",
        rates=rates,
        baseline=next(iter(rates)),
        facts={"kept": kept},
        lines=tuple(_verdict(name, share) for name, share in kept.items()),
    )


def _verdict(name: str, share: float) -> str:
    held = "held" if share >= LEAST_RATE else "BROKEN"
    return f"{name}: {share:.0%} of the clean rate (at least {LEAST_RATE:.0%}: {held})"
