"""`vocscore report`: predictions, figures and mistakes in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import progress, quiet_option
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.typed_options import echo
from vocscore.config.groups import build
from vocscore.config.reporting import ContentsConfig, ReportConfig

if TYPE_CHECKING:
    from pathlib import Path


@click.command(cls=PanelCommand)
@click.argument("predictions", metavar="PREDICTIONS", type=paths.UNFINISHED_PREDICTIONS)
@panel_option(
    "-o",
    "--output",
    "out",
    panel=ContentsConfig.title,
    required=True,
    metavar="FILE.html",
    type=paths.new_file("the report", example="report.html"),
    help="The report. It contains everything that it shows, and loads nothing.",
)
@config_options(
    ReportConfig, labels={"type": paths.SHARDS}, images={"type": paths.IMAGES_OF_PREDICTIONS}
)
@quiet_option
def report(predictions: Path, *, out: Path, quiet: bool, **settings: Any) -> None:
    """Write one HTML file about predictions, to read, print or mail.

    PREDICTIONS is the output of 'vocscore score' in any format. The file shows how many images and
    errors there are, the predictions per class, and the settings; with labels also the metrics of
    'vocscore eval' for images that the model was not trained on, curves, and the most confident
    mistakes of each class as thumbnails. It stays below 30 MB.

    \b
    Examples:
      vocscore report predictions.csv -o report.html
      vocscore report predictions.csv --labels shards/ --images photos/ -o report.html
    """
    from vocscore.reporting.report import report as write

    config = build(ReportConfig, settings)
    with progress("report", quiet=quiet) as shown:
        done = write(
            predictions,
            out,
            config,
            on_stage=shown.stage,
            on_rows=shown.listing,
            progress=shown,
        )
    if quiet:
        return
    echo(f"images: {done.images}, errors: {done.errors}")
    if done.mean_average_precision is None:
        echo("no metrics; the report says why (--labels SHARDS names the labels)")
    else:
        echo(f"mAP {done.mean_average_precision:.3f} of {done.judged} labeled images")
    if done.failed:
        echo(f"images without a thumbnail: {done.failed}; the report says why")
    if done.left_out:
        echo(f"examples left out, to stay below 30 MB: {done.left_out}")
    echo(f"report: {done.output} ({done.bytes / 1e6:.1f} MB)")
