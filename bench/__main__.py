"""`python -m bench`: images per second on this machine, beside its ceilings and other projects."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contests import BACKBONES, CONTESTS, Options
from bench.images import KINDS
from bench.results import FOLDER as RESULTS
from bench.results import environment, save

if TYPE_CHECKING:
    from collections.abc import Sequence


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:10s} {contest.help}" for name, contest in CONTESTS.items())
    left_out = ", ".join(name for name, contest in CONTESTS.items() if not contest.in_all)
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=f"contests:\n{listed}\n  {'all':10s} every contest but {left_out}\n"
        f"  {'report':10s} write docs/benchmarks.md, the chart and its caption from saved rows",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "contest", nargs="?", choices=("all", *CONTESTS, "report"), default="all", metavar="CONTEST"
    )
    add(
        "--images",
        type=_number_or_path,
        help="images per repeat; memory: smallest input; heads: shards or a VOC tree [by contest]",
    )
    add("--splits", type=int, default=10, help="contest heads: splits [10]")
    add("--repeats", type=int, default=3, help="counted repeats [3]")
    add("--kind", choices=KINDS, default="voc", help="kind of images [voc]")
    add("--backbones", nargs="+", default=BACKBONES, help=f"networks {list(BACKBONES)}")
    add("--results", type=Path, default=RESULTS, help="folder of the saved rows [bench/results]")
    add("--device", help="device of the networks and DALI [cpu; contest gpu: cuda:0]")
    add("--seconds", type=float, default=450.0, help="contest gpu: time limit in all [450]")
    return parser


def _number_or_path(word: str) -> int | Path:
    return int(word) if word.isdecimal() else Path(word)


def main(words: Sequence[str] | None = None) -> None:
    """Run the named contests; print and save each outcome when it is ready."""
    asked = _parser().parse_args(words)
    if asked.contest == "report":
        from bench.report import write_report

        print(write_report(asked.results))
        return
    everything = [name for name, contest in CONTESTS.items() if contest.in_all]
    environment()  # record the commit at the start; no process is forked after the contests
    with tempfile.TemporaryDirectory() as scratch:
        options = Options(
            scratch=Path(scratch),
            repeats=asked.repeats,
            kind=asked.kind,
            images=asked.images if isinstance(asked.images, int) else None,
            source=asked.images if isinstance(asked.images, Path) else None,
            splits=asked.splits,
            backbones=tuple(asked.backbones),
            device=asked.device or ("cuda:0" if asked.contest == "gpu" else "cpu"),
            seconds=asked.seconds,
        )
        for name in everything if asked.contest == "all" else [asked.contest]:
            for outcome in CONTESTS[name].run(options):
                saved, _ = save(outcome, asked.results)
                print(f"{outcome.text()}\nsaved in {saved}\n", flush=True)


if __name__ == "__main__":
    main()
