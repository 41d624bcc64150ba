"""The words of `python -m bench accuracy`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.accuracy.figures import comparisons, flat
from bench.accuracy.runs import Experiment, check, run_all
from bench.accuracy.tables import by_recipe, write_tables
from bench.options import BACKBONES
from bench.outcome import Outcome
from bench.results import environment, save
from shards.errors import Error
from vocscore.config import TrainConfig
from vocscore.machine import settle_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.accuracy.runs import Result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench accuracy",
        description="Pack, train, judge, and write a table beside the published figures, with the "
        "curves of every training. Stopped, the same command goes on.",
        epilog="What follows -- goes to 'vocscore train': ... -- --epochs 20 --tune all",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "source",
        nargs="?",
        type=Path,
        metavar="VOCDEVKIT",
        help="what 'vocscore pack' takes, or packed shards",
    )
    add(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder of all that is made"
    )
    add("--download", choices=("2007", "2012"), help="fetch this year of VOC, as 'vocscore pack'")
    add("--backbones", nargs="+", default=BACKBONES, help=f"{' '.join(BACKBONES)} by default")
    add("--weights", default=TrainConfig.weights, help="imagenet, none, or a file [imagenet]")
    add(
        "--recipe",
        action="append",
        help="baseline, strong, or a file; several are compared with the first [baseline]",
    )
    add("--seeds", type=int, default=1, help="so many seeds, of split and training [1]")
    add("--first-seed", type=int, default=0, metavar="SEED", help="of these [0]")
    add("--results", type=Path, help="append the outcome to accuracy.jsonl in this folder, too")
    return parser


def main(words: Sequence[str]) -> None:
    """Do the experiment, or what is left of it; a known failure is one line and exit code 2."""
    settle_threads()
    experiment, folder = _ask(words)
    try:
        check(experiment)
        results = run_all(experiment, say=_say)
    except click.ClickException as error:
        sys.exit(_fail(error.format_message(), code=error.exit_code))
    except Error as error:
        sys.exit(_fail(str(error), code=2))
    out = experiment.out
    _say(write_tables(results, out, options=experiment.options, environment=environment()))
    _say(f"kept in {out / 'accuracy.md'}, .csv, .json")
    if folder is not None:
        _say(f"and in {save(_outcome(results), folder)[0]}")


def _ask(words: Sequence[str]) -> tuple[Experiment, Path | None]:
    """What is to be done, and the folder of rows that the outcome goes to."""
    parser = _parser()
    mine, options = _divide(words)
    asked = parser.parse_args(mine)
    if asked.source is None and asked.download is None:
        parser.error("name a VOCDEVKIT, or --download a year")
    if asked.seeds < 1:
        parser.error(f"--seeds {asked.seeds}: at least 1")
    if asked.results is not None and asked.results.exists() and not asked.results.is_dir():
        parser.error(f"--results {asked.results}: is a file; name a folder")
    experiment = Experiment(
        source=asked.source,
        download=asked.download,
        out=asked.output,
        backbones=tuple(dict.fromkeys(asked.backbones)),
        weights=asked.weights,
        recipes=tuple(dict.fromkeys(asked.recipe or ["baseline"])),
        seeds=range(asked.first_seed, asked.first_seed + asked.seeds),
        options=options,
    )
    return experiment, asked.results


def _divide(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The words before '--', and those after it."""
    listed = list(words)
    place = listed.index("--") if "--" in listed else len(listed)
    return listed[:place], tuple(listed[place + 1 :])


def _say(line: str) -> None:
    print(line, flush=True)


def _fail(message: str, *, code: int) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return code


def _outcome(results: Sequence[Result]) -> Outcome:
    """The row that `bench/results` keeps: no rates, every training's figures."""
    rows = [flat(result) for result in results]
    return Outcome(
        contest="accuracy",
        unit="mAP",
        title=f"accuracy on {rows[0]['judged_images']} images",
        key={
            "weights": rows[0]["weights"],
            "pictures": str(rows[0]["train_images"]),
            "seeds": f"{rows[0]['seed']} to {rows[-1]['seed']}",
        },
        facts={
            "runs": rows,
            "table": by_recipe(rows),
            "comparisons": [one.text() for one in comparisons(rows)],
        },
    )
