"""`vocscore relabel`: other labels from the same probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vocscore.cli import paths
from vocscore.cli.common import progress, quiet_option, refuse_summary, write_summary
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.typed_options import echo
from vocscore.config.relabeling import RelabelConfig

if TYPE_CHECKING:
    from pathlib import Path


@click.command(cls=PanelCommand)
@click.argument("predictions", type=paths.PREDICTIONS)
@panel_option(
    "--thresholds-file",
    panel="Thresholds",
    required=True,
    metavar="FILE.json",
    type=paths.THRESHOLDS,
    help='The thresholds, as \'vocscore view\' saves them: {"dog": 0.41, "person": 0.6}. A class '
    "that is not in it keeps its threshold.",
)
@panel_option(
    "-o",
    "--output",
    "out",
    panel=RelabelConfig.title,
    required=True,
    metavar="NEW",
    type=paths.OUTPUT,
    help="The predictions with the new labels; the suffix selects the format.",
)
@config_options(RelabelConfig)
@panel_option(
    "--json",
    "json_file",
    panel=RelabelConfig.title,
    metavar="FILE.json",
    type=paths.SUMMARY,
    help="Write the summary to this file.",
)
@quiet_option
def relabel(
    predictions: Path,
    *,
    thresholds_file: Path,
    out: Path,
    overwrite: bool,
    json_file: Path | None,
    quiet: bool,
) -> None:
    """Decide labels with other thresholds, without scoring again.

    PREDICTIONS is the output of 'vocscore score' with all probabilities. Rows, order and
    probabilities stay; only the labels change. The model's own thresholds are not changed.

    \b
    Examples:
      vocscore relabel predictions.csv --thresholds-file thresholds.json -o relabeled.csv
    """
    from vocscore.scoring.relabel import relabel as run

    refuse_summary(json_file, beside=predictions, of=out)
    with progress("relabel", quiet=quiet) as shown:
        report = run(
            predictions,
            out,
            thresholds_file=thresholds_file,
            overwrite=overwrite,
            on_stage=shown.stage,
            progress=shown,
        )
    if not quiet:
        echo(f"images: {report.rows}, errors: {report.errors}")
        echo(f"decisions changed: {report.changed} in {report.changed_rows} images")
        echo(f"predictions: {report.output}")
        if report.decimals is not None:
            echo(
                f"note: the probabilities are rounded to {report.decimals} decimals; next to a "
                "new threshold, scoring with --thresholds-file may decide differently",
                err=True,
            )
    if json_file:
        write_summary(json_file, report.to_json())
