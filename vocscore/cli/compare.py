"""`vocscore compare`: what changed between two predictions or two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import (
    progress,
    quiet_option,
    refuse_outputs,
    refuse_summary,
    write_summary,
)
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.typed_options import echo
from vocscore.config.comparing import CompareConfig
from vocscore.config.groups import build

if TYPE_CHECKING:
    from pathlib import Path


@click.command(cls=PanelCommand)
@click.argument("first", metavar="A", type=paths.PREDICTIONS_OR_RUN)
@click.argument("second", metavar="B", type=paths.PREDICTIONS_OR_RUN)
@config_options(CompareConfig, labels={"type": paths.SHARDS})
@panel_option(
    "--json",
    "json_file",
    panel="Output",
    metavar="FILE.json",
    type=paths.SUMMARY,
    help="Write every figure to this file.",
)
@panel_option(
    "--csv",
    "csv_file",
    panel="Output",
    metavar="FILE.csv",
    type=paths.new_file("one row per class", example="classes.csv"),
    help="Write one row per class.",
)
@panel_option(
    "--changes",
    panel="Output",
    metavar="FILE.csv",
    type=paths.new_file("the changed decisions", example="changes.csv"),
    help="Write one row per changed decision: path, class, both probabilities, both decisions, "
    "label.",
)
@quiet_option
def compare(
    first: Path,
    second: Path,
    *,
    json_file: Path | None,
    csv_file: Path | None,
    changes: Path | None,
    quiet: bool,
    **settings: Any,
) -> None:
    """Show what changed between two predictions, or between two runs.

    A and B are predictions of the same images, or folders that 'vocscore train' wrote. Of
    predictions: which decisions changed; with labels, which mistakes are fixed and which are new,
    and the difference of every metric with its confidence interval, from the same resamples of the
    images for both. Images that one of the models was trained on are left out. Of runs: the
    settings that differ, and the recorded validation figures.

    \b
    Examples:
      vocscore compare before.csv after.csv --labels shards/
      vocscore compare run-1/ run-2/
    """
    from vocscore.comparing import compare as run

    outputs = {"--json": json_file, "--csv": csv_file, "--changes": changes}
    for given in (first, second):
        refuse_summary(json_file, beside=given, of=given)
        refuse_outputs(outputs, of=given)
    with progress("compare", quiet=quiet) as shown:
        report = run(first, second, build(CompareConfig, settings), on_stage=shown.stage)
    count = report.write_changes(changes) if changes else 0  # first: runs have none
    if json_file:
        write_summary(json_file, report.to_json())
    if csv_file:
        report.write_classes(csv_file)
    if not quiet:
        echo(str(report))
        if changes:
            echo(f"changed decisions: {count}, in {changes}")
