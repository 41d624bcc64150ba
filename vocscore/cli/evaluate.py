"""`vocscore eval`: predictions beside the labels of packed shards."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vocscore.cli.common import quiet_option, refuse_summary
from vocscore.config import EvalConfig


@click.command("eval")
@click.argument("predictions", type=click.Path(exists=True, path_type=Path))
@click.argument("shards", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--split",
    metavar="NAME[,NAME]",
    help="Compare with these splits only.  [default: every split that was scored]",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=EvalConfig.threshold,
    show_default=True,
    metavar="PROBABILITY",
    help="A class counts as predicted from this probability on.",
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE.json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every figure there.",
)
@quiet_option
def evaluate(
    predictions: Path,
    shards: Path,
    *,
    split: str | None,
    threshold: float,
    json_file: Path | None,
    quiet: bool,
) -> None:
    """Say how good predictions are.

    PREDICTIONS is what 'vocscore score' wrote with all probabilities: a file of any format, or a
    folder of parts. SHARDS is the packed set with the labels; pictures are matched by path.
    Instances marked 'difficult' are ignored.

    Prints average precision a class, mAP (all points, and VOC's own two ways), and IoU,
    precision, recall and F1, averaged over pictures, over decisions (micro) and over classes
    (macro).
    """
    from vocscore.evaluation.evaluate import evaluate as compare

    refuse_summary(json_file, beside=shards)
    report = compare(predictions, shards, split=split, threshold=threshold)
    if json_file:
        json_file.write_text(json.dumps(report.to_json(), indent=2) + "\n")
    if not quiet:
        click.echo(report.to_text())
