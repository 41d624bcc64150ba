"""`vocscore merge`: the output of jobs that scored with --units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vocscore.cli import paths
from vocscore.cli.common import progress, quiet_option, refuse_summary, write_summary
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.score_summary import say_all_bad, summarize
from vocscore.cli.typed_options import echo
from vocscore.config.groups import build
from vocscore.config.jobs import JobLimitsConfig, MergeConfig, MergedConfig

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


@click.command(cls=PanelCommand)
@click.argument("out", type=paths.OUTPUT_OF_JOBS)
@config_options(
    MergedConfig,
    JobLimitsConfig,
    quarantine={"type": paths.QUARANTINE},
)
@panel_option(
    "--json",
    "json_file",
    panel=MergedConfig.title,
    metavar="FILE.json",
    type=paths.SUMMARY,
    help="Write the summary to this file.",
)
@quiet_option
def merge(out: Path, *, json_file: Path | None, quiet: bool, **settings: Any) -> None:
    """Write the predictions that jobs have scored: the last step of every run with --units.

    OUT is the -o of the jobs. When every unit is there, each part is checked against its hash, and
    OUT appears as a whole, with the bytes that one process would have written. If units are
    missing, nothing is written, the exit code is 4, and the line says which jobs have to run again.

    \b
    Examples:
      vocscore merge predictions.csv
      vocscore merge predictions.csv --quarantine bad/ --max-bad 0.01
    """
    from vocscore.scoring.jobs.merge import merge as run

    config = build(MergeConfig, settings)
    refuse_summary(json_file, beside=out, of=out)
    with progress("merge", quiet=quiet) as shown:
        report = run(out, config, on_stage=shown.stage)
    quarantine = config.limits.quarantine
    if report.complete and quarantine is not None:
        echo(f"warning: nothing is copied to {quarantine}: {out} was merged before", err=True)
    for problem in report.problems:
        echo(f"warning: {problem}", err=True)
    if not quiet:
        summarize(report, quarantine=None if report.complete else quarantine, err=False)
    if json_file:
        write_summary(json_file, report.to_json())
    if report.all_bad:
        say_all_bad(report, str(out))
