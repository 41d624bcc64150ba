"""`vocscore eval`: predictions beside the labels of packed shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vocscore.cli import paths
from vocscore.cli.common import quiet_option, refuse_summary, write_summary
from vocscore.cli.numbers import FiniteRange
from vocscore.config import EvalConfig

if TYPE_CHECKING:
    from pathlib import Path


@click.command("eval")
@click.argument("predictions", type=paths.PREDICTIONS)
@click.argument("shards", type=paths.SHARDS)
@click.option(
    "--split",
    metavar="NAME[,NAME]|all",
    help="Judge these splits, or all that were scored, images that the model was trained on "
    "included; how many these are is said.  [default: every image that was scored and not trained "
    "on]",
)
@click.option(
    "-m",
    "--model",
    metavar="RUN",
    type=paths.RUN,
    help="The run whose model made PREDICTIONS: it says what was trained on.  [default: the record "
    "beside PREDICTIONS says it]",
)
@click.option(
    "--threshold",
    type=FiniteRange(0, 1),
    default=EvalConfig.threshold,
    show_default="the labels in PREDICTIONS",
    metavar="PROBABILITY",
    help="Count a class as predicted from this probability on, in place of the labels that "
    "'score' wrote, which go by the thresholds of the model. Average precision needs no threshold.",
)
@click.option(
    "--difficult",
    type=click.Choice(["ignore", "positive", "negative"]),
    default=EvalConfig.difficult,
    show_default=True,
    help="What a class is of which an image shows only instances marked 'difficult'. VOC's own "
    "figures ignore it; other papers count it as present or as absent, and theirs can be "
    "compared only with figures made the same way.",
)
@click.option(
    "--resamples",
    type=click.IntRange(min=0),
    default=EvalConfig.resamples,
    show_default=True,
    metavar="N",
    help="Draw the images anew so often, with repeats, to say between which values 95% of the "
    "figures then lie (bootstrap). 0 leaves the intervals out.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=EvalConfig.seed,
    show_default=True,
    help="Of these draws; the same seed gives the same intervals.",
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE.json",
    type=paths.SUMMARY,
    help="Write every figure there, with the intervals of each class, the bins of a reliability "
    "diagram, and how often classes are missed together.",
)
@click.option(
    "--plots",
    metavar="DIR",
    type=paths.new_folder("charts"),
    help="Draw there (made if missing): per_class_ap.png, average precision a class; "
    "reliability.png, whether 7 in 10 decisions with probability 0.7 come true; "
    "missed_together.png, which labels are missed in the same images.",
)
@quiet_option
def evaluate(
    predictions: Path,
    shards: Path,
    *,
    split: str | None,
    model: Path | None,
    threshold: float | None,
    difficult: str,
    resamples: int,
    seed: int,
    json_file: Path | None,
    plots: Path | None,
    quiet: bool,
) -> None:
    """Say how good predictions are.

    PREDICTIONS is what 'vocscore score' wrote with all probabilities: a file of any format, or a
    folder of parts. SHARDS is the packed set with the labels; images are matched by path.

    Judged are the images that the model was not trained on. What it was trained on is known from
    the record that 'score' leaves beside PREDICTIONS, or from --model; where neither is there, the
    splits train and trainval are taken for it, and the output says so.

    Prints average precision a class, mAP (all points, and VOC's own two ways), and IoU,
    precision, recall and F1, averaged over images, over decisions (micro) and over classes
    (macro), each with the interval in which it lies when other images are drawn; and how far
    probabilities are from the share that comes true (expected calibration error). docs/metrics.md
    defines every figure.

    \b
    vocscore eval predictions.csv shards/
    vocscore eval predictions.csv shards/ --split train,val
    """
    from vocscore.evaluation.eval_text import eval_text
    from vocscore.evaluation.evaluate import evaluate as compare
    from vocscore.evaluation.training_text import subject_line

    refuse_summary(json_file, beside=shards, of=predictions)
    if plots:
        from vocscore.charts.canvas import require_matplotlib

        require_matplotlib()
    report = compare(
        predictions,
        shards,
        split=split,
        model=model,
        threshold=threshold,
        difficult=difficult,
        resamples=resamples,
        seed=seed,
    )
    if json_file:
        write_summary(json_file, report.to_json())
    if plots:
        from vocscore.charts.evaluation_charts import evaluation_charts

        plots.mkdir(parents=True, exist_ok=True)
        evaluation_charts(
            plots,
            report.classes,
            figures=report.figures,
            calibration={"predictions": report.calibration},
            missed=report.missed,
            subject=subject_line(report),
        )
    if not quiet:
        click.echo(eval_text(report))
