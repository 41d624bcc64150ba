"""`python -m bench`: images per second of this machine, beside its ceilings."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.pictures import fill_folder, refs
from bench.results import save, table

if TYPE_CHECKING:
    from bench.timing import Rate

BACKBONES = ("alexnet", "resnet18", "googlenet")


def main() -> None:
    """Run the contests asked for, print a table each, keep the rows."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "contest", nargs="?", choices=["all", "loaders", "score"], default="all", help="[all]"
    )
    parser.add_argument("--pictures", type=int, default=256, help="pictures a repeat [256]")
    parser.add_argument("--repeats", type=int, default=5, help="counted repeats [5]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pictures"
        kind = fill_folder(folder, pictures=options.pictures)
        print(f"{options.pictures} pictures a repeat: {kind}")
        if options.contest in ("all", "loaders"):
            _loaders(folder, kind, repeats=options.repeats)
        if options.contest in ("all", "score"):
            for backbone in BACKBONES:
                _score(backbone, folder, kind, repeats=options.repeats)


def _loaders(folder: Path, kind: str, *, repeats: int) -> None:
    from bench.loaders import compare_loaders

    rates, differences = compare_loaders(refs(folder), repeats=repeats)
    print("\nloaders, file to normalised batch on the CPU")
    print(table(rates, baseline=next(iter(rates))))
    print(f"mean difference to the baseline, grey levels: {differences}")
    _save("loaders", rates, pictures=kind, mean_differences=differences)


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


def _save(contest: str, rates: dict[str, Rate], **facts: object) -> None:
    row = {name: {"median": rate.median, "values": rate.values} for name, rate in rates.items()}
    print(f"kept in {save(contest, {**facts, 'images_per_second': row})}")


if __name__ == "__main__":
    main()
