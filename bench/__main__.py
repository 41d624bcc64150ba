"""`python -m bench`: images per second of this machine, beside its ceilings."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contests import CONTESTS
from bench.images import KINDS
from bench.memory import INPUTS, LISTED
from bench.options import BACKBONES, Options
from bench.report import write_report
from bench.results import FOLDER as RESULTS
from bench.results import environment, save

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.outcome import Outcome


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:10s} {contest.help}" for name, contest in CONTESTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=f"contests:\n{listed}\n\nall: every contest but "
        + ", ".join(name for name, contest in CONTESTS.items() if not contest.in_all)
        + "\nreport: write the README's tables and chart from the rows that are there"
        + "\naccuracy: the published experiment, and recipes compared; see 'accuracy --help'",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "contest", nargs="?", choices=("all", *CONTESTS, "report"), default="all", metavar="CONTEST"
    )
    add("--json", action="store_true", help="the rows as JSON lines on standard output")
    add("--images", type=int, help="images a repeat [by contest]")
    add("--repeats", type=int, default=3, help="counted repeats [3]")
    add("--kind", choices=KINDS, default="voc", help="of the images [voc]")
    add("--backbones", nargs="+", default=BACKBONES, help=f"networks {list(BACKBONES)}")
    add("--inputs", nargs="+", type=int, default=INPUTS, help=f"memory: inputs {list(INPUTS)}")
    add("--results", type=Path, default=RESULTS, help="folder that keeps the rows [bench/results]")
    add("--device", default="cuda:0", help="gpu: the GPU, or cpu to try it out [cuda:0]")
    add("--seconds", type=float, default=450.0, help="gpu: for all of it [450]")
    add("--quick", action="store_true", help="gpu: smaller sweeps")
    add("--listed", type=int, default=LISTED, help=f"memory: files listed [{LISTED}]")
    return parser


def main(words: Sequence[str] | None = None) -> None:
    """Run the contests asked for; print and keep each outcome as it comes."""
    words = sys.argv[1:] if words is None else list(words)
    if words[:1] == ["accuracy"]:  # no contest of speed: it has a folder and words of its own
        from bench.accuracy.command import main as accuracy

        accuracy(words[1:])
        return
    asked = _parser().parse_args(words)
    if asked.contest == "report":
        print(write_report(asked.results))
        return
    names = (
        [n for n in CONTESTS if CONTESTS[n].in_all] if asked.contest == "all" else [asked.contest]
    )
    environment()  # the commit at the start, and no process is forked after the contests
    with tempfile.TemporaryDirectory() as scratch:
        options = Options(
            scratch=Path(scratch),
            repeats=asked.repeats,
            kind=asked.kind,
            images=asked.images,
            backbones=tuple(asked.backbones),
            inputs=tuple(asked.inputs),
            listed=asked.listed,
            device=asked.device,
            seconds=asked.seconds,
            quick=asked.quick,
        )
        for name in names:
            for outcome in CONTESTS[name].run(options):
                _show(outcome, results=asked.results, as_json=asked.json)


def _show(outcome: Outcome, *, results: Path, as_json: bool) -> None:
    """Print an outcome and keep its row; with `as_json`, standard output holds rows only."""
    kept, row = save(outcome, results)
    human = sys.stderr if as_json else sys.stdout
    print(f"{outcome.text()}\nkept in {kept}\n", file=human, flush=True)
    if as_json:
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
