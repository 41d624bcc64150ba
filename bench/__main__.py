"""`python -m bench`: images per second of this machine, beside its ceilings."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.memory import INPUTS, LISTED
from bench.pictures import fill_folder, refs
from bench.results import save, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.timing import Rate

CONTESTS = ("all", "loaders", "dirty", "score", "memory")
BACKBONES = ("alexnet", "resnet18", "googlenet")


def main() -> None:
    """Run the contests asked for, print a table each, keep the rows."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "contest", nargs="?", choices=CONTESTS, default="all", help="[all, but memory]"
    )
    parser.add_argument("--pictures", type=int, default=128, help="pictures a repeat [128]")
    parser.add_argument("--repeats", type=int, default=3, help="counted repeats [3]")
    parser.add_argument(
        "--inputs",
        nargs="+",
        type=int,
        default=INPUTS,
        help=f"memory: inputs of each run {list(INPUTS)}",
    )
    parser.add_argument("--listed", type=int, default=LISTED, help=f"memory: files [{LISTED}]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pictures"
        kind = fill_folder(folder, pictures=options.pictures)
        print(f"{options.pictures} pictures a repeat: {kind}")
        if options.contest in ("all", "loaders"):
            _loaders(folder, kind, repeats=options.repeats)
        if options.contest in ("all", "dirty"):
            _dirty(folder, kind, Path(scratch), repeats=options.repeats)
        if options.contest in ("all", "score"):
            for backbone in BACKBONES:
                _score(backbone, folder, kind, repeats=options.repeats)
    if options.contest == "memory":
        _memory(options.inputs, listed=options.listed)


def _loaders(folder: Path, kind: str, *, repeats: int) -> None:
    from bench.loaders import compare_loaders

    rates, differences = compare_loaders(refs(folder), repeats=repeats)
    print("\nloaders, file to normalised batch on the CPU")
    print(table(rates, baseline=next(iter(rates))))
    print(f"mean difference to the baseline, grey levels: {differences}")
    _save("loaders", rates, pictures=kind, mean_differences=differences)


def _dirty(folder: Path, kind: str, scratch: Path, *, repeats: int) -> None:
    from bench.dirty import LEAST_RATE, compare_dirty

    rates, kept = compare_dirty(refs(folder), scratch, repeats=repeats)
    print("\ndirty, inputs from file to batch on the CPU, good and bad")
    print(table(rates, baseline=next(iter(rates))))
    for name, share in kept.items():
        held = "held" if share >= LEAST_RATE else "BROKEN"
        print(f"{name}: {share:.0%} of the clean rate (at least {LEAST_RATE:.0%}: {held})")
    _save("dirty", rates, pictures=kind, kept=kept)


def _score(backbone: str, folder: Path, kind: str, *, repeats: int) -> None:
    from bench.score import compare_scoring

    rates, difference = compare_scoring(backbone, refs(folder), repeats=repeats)
    print(f"\nscore, {backbone}")
    print(table(rates, baseline="usual loop"))
    wall = min("decode ceiling", "model ceiling", key=lambda name: rates[name].median)
    share = rates["score, folder to CSV"].median / rates[wall].median
    print(f"the wall: {wall}; reached: {share:.0%} of it")
    print(f"largest difference in probability to the usual loop: {difference:.5f}")
    _save("score", rates, pictures=kind, backbone=backbone, largest_difference=difference)


def _memory(inputs: Sequence[int], *, listed: int) -> None:
    from bench.memory import LIMIT_BYTES, bytes_an_input, measure_listing, measure_memory

    print("\nmemory, whole processes from folder to CSV")
    runs = measure_memory(inputs)
    for run in runs:
        print(f"{run.inputs:9d} inputs  {run.peak_bytes / 1e6:7.1f} MB  {run.seconds:6.1f} s")
    slope = bytes_an_input(runs)
    held = "held" if slope <= LIMIT_BYTES else "BROKEN"
    print(f"{slope:.0f} bytes an input (at most {LIMIT_BYTES}: {held})")
    listing = measure_listing(listed)
    print(f"{listing.files} files listed in {listing.seconds:.1f} s, {listing.calls} signs of life")
    facts = {"runs": [asdict(run) for run in runs], "listing": asdict(listing)}
    print(f"kept in {save('memory', {**facts, 'bytes_an_input': slope, 'limit': LIMIT_BYTES})}")


def _save(contest: str, rates: dict[str, Rate], **facts: object) -> None:
    row = {name: {"median": rate.median, "values": rate.values} for name, rate in rates.items()}
    print(f"kept in {save(contest, {**facts, 'images_per_second': row})}")


if __name__ == "__main__":
    main()
