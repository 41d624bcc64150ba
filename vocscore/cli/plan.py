"""`vocscore plan`: what a run would take, before it is started."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import (
    interruptible,
    progress,
    quiet_option,
    refuse_summary,
    write_summary,
)
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.path_types import SourceType
from vocscore.cli.score import score, split_names
from vocscore.cli.shown_commands import typed_as, vocscore_command
from vocscore.cli.typed_options import echo
from vocscore.config.groups import build, groups_of
from vocscore.config.planning import PlanConfig, PlanningConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vocscore.scoring.forecast.plan_report import PlanReport

_OWN = ("json_file", "quiet", "processes")
"""What is typed for the plan itself."""
_FILE, _FOLDER = Path("predictions.csv"), Path("predictions")


@click.command(cls=PanelCommand)
@click.argument("src", type=SourceType())
@panel_option(
    "-m",
    "--model",
    "checkpoint",
    panel="Model",
    required=True,
    metavar="RUN",
    type=paths.RUN,
    help="Folder that 'vocscore train' wrote.",
)
@config_options(PlanningConfig)
@panel_option(
    "--json",
    "json_file",
    panel=PlanningConfig.title,
    metavar="FILE.json",
    type=paths.SUMMARY,
    help="Write every figure to this file.",
)
@panel_option(
    "-o",
    "--output",
    "out",
    panel="Output",
    metavar="FILE",
    type=paths.PLANNED_OUTPUT,
    show_default=f"{_FILE}, or with --format {_FOLDER}",
    help="The predictions of the run, in the format of the suffix. Nothing is written now.",
)
@config_options(
    *(group for name, group in groups_of(PlanConfig).items() if name != "planning"),
    thresholds_file={"type": paths.THRESHOLDS},
    features={"type": paths.FEATURES},
    quarantine={"type": paths.new_folder("copies of bad inputs")},
    devices={"multiple": False, "default": None, "callback": split_names},
)
@quiet_option
def plan(
    src: str,
    checkpoint: Path,
    *,
    out: Path | None,
    json_file: Path | None,
    quiet: bool,
    **settings: Any,
) -> None:
    """Tell what scoring takes, before it is started: hours, bytes, requests, the bottleneck.

    SRC and the options are those of 'vocscore score'. For some seconds, images spread over SRC
    are read, then others are scored as in a run, and their rows are written to a temporary
    folder. The whole run, by N processes like this one, is predicted from that: its time with a
    range, core hours or GPU hours, and the unit size with which N processes end at about the same
    time and commit rarely. The commands that do it are printed, too.

    Run it on the machine that will score, when nothing else runs on it: the range covers the
    sample, not a busy machine, and not storage that gets slower when N processes read from it.

    \b
    Examples:
      vocscore plan photos/ -m run/
      vocscore plan photos/ -m run/ --processes 16 --price-per-hour 0.40
    """
    from vocscore.scoring.forecast.forecast import plan as run

    config = build(PlanConfig, settings)
    out = out or (_FOLDER if config.output.format else _FILE)
    refuse_summary(json_file, beside=checkpoint, of=out)
    with progress("plan", quiet=quiet) as shown, interruptible("Nothing was written."):
        report = run(
            src,
            out,
            config,
            checkpoint=checkpoint,
            listing=shown.listing,
            on_stage=shown.stage,
        )
    for problem in report.problems:
        echo(f"warning: {problem}", err=True)
    commands = list(_commands(click.get_current_context(), report))
    if not quiet:
        echo(str(report))
        echo("\n".join(["run:", *(f"  {line}" for line in commands)]))
    if json_file:
        write_summary(json_file, {**report.to_json(), "commands": commands})


def _commands(ctx: click.Context, report: PlanReport) -> Iterator[str]:
    """Yield the commands of the run, by what `score` offers, each with what it does."""
    processes, options = report.planned.processes, {one.name for one in score.params}
    changes: dict[str, Any] = {"out": report.output}
    if report.unit_size not in (None, ctx.params["unit_size"]):
        changes["unit_size"] = report.unit_size

    def typed(**more: object) -> str:
        return typed_as(ctx, score, without=_OWN, **{**changes, **more})

    if processes == 1 or not {"units", "on"} & options:
        yield typed()
        return
    if "units" in options:
        yield f"{typed(units='auto')}  # in each of {processes} tasks of a job"
        yield f"{vocscore_command('merge', report.output)}  # after them"
    if {"on", "processes"} <= options:
        yield f"{typed(on='ray', processes=processes)}  # or on a Ray cluster"
