"""`vocscore eval`: compares predictions with the labels of packed shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import quiet_option, refuse_outputs, refuse_summary, write_summary
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.typed_options import echo
from vocscore.config.charts import ChartConfig
from vocscore.config.evaluating import EvalConfig
from vocscore.config.groups import build

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.evaluation.eval_report import EvalReport


@click.command("eval", cls=PanelCommand)
@click.argument("predictions", type=paths.PREDICTIONS)
@click.argument("shards", type=paths.SHARDS)
@config_options(EvalConfig, model={"type": paths.RUN})
@panel_option(
    "--json",
    "json_file",
    panel="Output",
    metavar="FILE.json",
    type=paths.SUMMARY,
    help="Write every figure to this file, with the intervals of each class, the bins of a "
    "reliability diagram, and how often classes are missed together.",
)
@panel_option(
    "--mistakes",
    panel="Output",
    metavar="FILE.csv",
    type=paths.new_file("the wrong decisions", example="mistakes.csv"),
    help="Write one row per wrong decision, the greatest loss first: path, class, probability, "
    "threshold, kind (false_positive, false_negative), loss (nats).",
)
@panel_option(
    "--suspects",
    panel="Output",
    metavar="FILE.csv",
    type=paths.new_file("the suspicious labels", example="suspects.csv"),
    help="Write one row per label that the model contradicts, the most suspicious first: path, "
    "class, label, probability, self_confidence, image_quality. See docs/label-errors.md.",
)
@panel_option(
    "--plots",
    panel=ChartConfig.title,
    metavar="DIR",
    type=paths.new_folder("charts"),
    help="Draw charts in this folder, which is created if needed: per_class_ap.png, average "
    "precision per class with its interval; reliability.png, whether 7 of 10 predictions with "
    "probability 0.7 are correct; missed_together.png, which labels are missed in the same images.",
)
@config_options(ChartConfig)
@quiet_option
def evaluate(
    predictions: Path,
    shards: Path,
    *,
    json_file: Path | None,
    mistakes: Path | None,
    suspects: Path | None,
    plots: Path | None,
    quiet: bool,
    **settings: Any,
) -> None:
    """Measure how good predictions are.

    PREDICTIONS is the output of 'vocscore score' with all probabilities: a file of any format, or a
    folder of parts. SHARDS is the packed set with the labels; images are matched by path.

    Only images that the model was not trained on are evaluated. They are determined from the record
    that 'score' writes beside PREDICTIONS, or from --model; without either, the splits train and
    trainval are assumed to be the training images, and the output says so.

    Prints average precision per class, mAP (all points, and VOC's two definitions), and IoU,
    precision, recall and F1, averaged over images, over decisions (micro) and over classes
    (macro), each with its confidence interval over images; and the expected calibration error of
    the probabilities. docs/metrics.md defines every figure.

    \b
    Examples:
      vocscore eval predictions.csv shards/
      vocscore eval predictions.csv shards/ --split train,val
    """
    from vocscore.evaluation.eval_text import eval_text
    from vocscore.evaluation.evaluate import evaluate as compare
    from vocscore.evaluation.training_text import subject_line

    config, charts = build(EvalConfig, settings), build(ChartConfig, settings)
    if charts != ChartConfig() and not plots:
        raise click.UsageError("--chart-format needs --plots DIR, which draws the charts.")
    refuse_summary(json_file, beside=shards, of=predictions)
    for given in (predictions, shards):
        refuse_outputs({"--mistakes": mistakes, "--suspects": suspects}, of=given)
    if plots:
        from vocscore.charts.canvas import require_matplotlib

        require_matplotlib()
    report = compare(
        predictions,
        shards,
        split=config.judged.split,
        model=config.judged.model,
        threshold=config.metrics.threshold,
        difficult=config.metrics.difficult,
        resamples=config.bootstrap.resamples,
        seed=config.bootstrap.seed,
    )
    if json_file:
        write_summary(json_file, report.to_json())
    lines = _write_tables(report, mistakes=mistakes, suspects=suspects)
    if plots:
        from vocscore.charts.evaluation_charts import evaluation_charts

        plots.mkdir(parents=True, exist_ok=True)
        evaluation_charts(
            plots,
            report.classes,
            figures=report.figures,
            intervals=report.intervals,
            calibration={"predictions": report.calibration},
            missed=report.missed,
            subject=subject_line(report),
            chart_format=charts.chart_format,
        )
    if not quiet:
        echo(eval_text(report))
        for line in lines:
            echo(line)


def _write_tables(report: EvalReport, *, mistakes: Path | None, suspects: Path | None) -> list[str]:
    """Write the tables that are asked for, and return a line about each."""
    from vocscore.evaluation.decision_tables import write_mistakes, write_suspects

    lines = []
    if mistakes:
        lines.append(f"wrong decisions: {write_mistakes(mistakes, report)}, in {mistakes}")
    if suspects:
        lines.append(f"suspicious labels: {write_suspects(suspects, report)}, in {suspects}")
        trained = report.training.trained_on
        if trained:
            lines.append(
                f"{trained} of these images were trained on, and a model rarely contradicts what "
                "it has learned"
            )
    return lines
