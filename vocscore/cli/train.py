"""`vocscore train`: trains a model on shards."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import (
    interruptible,
    progress,
    quiet_option,
    same_command,
)
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.shown_commands import free_path, vocscore_command
from vocscore.cli.typed_options import echo
from vocscore.config.charts import ChartConfig
from vocscore.config.compute import ComputeConfig
from vocscore.config.groups import build
from vocscore.config.model import ModelConfig
from vocscore.config.optimization import OptimizationConfig
from vocscore.config.training import (
    AugmentationConfig,
    CheckpointConfig,
    DataConfig,
    LossConfig,
    RunConfig,
    TrainConfig,
)
from vocscore.machine import peak_memory
from vocscore.ranks import read_ranks
from vocscore.text_width import wrap

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from vocscore.training.train import EpochResult, TrainReport


def _use_recipe(context: click.Context, _option: click.Parameter, recipe: str) -> str:
    """Use the recipe's settings as defaults; typed options take precedence."""
    from vocscore.training.recipes import load_recipe

    context.default_map = load_recipe(recipe)
    return recipe


def _complete_recipe(
    _context: click.Context, _option: click.Parameter, typed: str
) -> list[CompletionItem]:
    """Complete the names of the built-in recipes, and files."""
    from click.shell_completion import CompletionItem

    from vocscore.training.recipes import recipe_names

    names = [CompletionItem(name) for name in recipe_names() if name.startswith(typed)]
    return [*names, CompletionItem(typed, type="file")]


@click.command(cls=PanelCommand)
@click.argument("shards", type=paths.SHARDS)
@panel_option(
    "-o",
    "--output",
    "out",
    panel=RunConfig.title,
    required=True,
    metavar="RUN",
    type=paths.new_folder("the model, its history and its metrics"),
    help="Folder for the model, its history and its metrics.",
)
@config_options(RunConfig)
@panel_option(
    "--recipe",
    panel="Recipe",
    default="baseline",
    show_default=True,
    metavar="baseline|strong|FILE",
    is_eager=True,
    callback=_use_recipe,
    shell_complete=_complete_recipe,
    help="A set of options. baseline: the defaults below, from the original experiment. strong: "
    "better ones. FILE: your own, in TOML, with 'learning_rate = 0.001' for --learning-rate. "
    "Options on the command line take precedence.",
)
@config_options(
    ModelConfig,
    DataConfig,
    OptimizationConfig,
    AugmentationConfig,
    LossConfig,
    CheckpointConfig,
    ChartConfig,
    ComputeConfig,
)
@quiet_option
def train(shards: Path, out: Path, *, recipe: str, quiet: bool, **settings: Any) -> None:
    """Train a multi-label classifier on packed shards.

    The defaults are those of the original experiment: a frozen ImageNet backbone, a new linear
    head, binary cross-entropy, 10 epochs.

    Writes to RUN the checkpoint (model.safetensors, model.json), history.csv, metrics.json,
    config.json, images.csv (the images of training and validation), and charts: curves.png
    (training curves), and per_class_ap.png, reliability.png and missed_together.png for the
    validation split; with --chart-format svg, .svg files. With --folds, also out_of_fold.csv.

    \b
    Examples:
      vocscore train shards/ -o run/
      vocscore train shards/ -o run/ --recipe strong
      vocscore train shards/ -o run/ --recipe strong --tune all --backbone googlenet
      vocscore train shards/ -o run/ --weights resnet18.pth      # offline
      vocscore train shards/ -o run/ --folds 5                   # to find wrong labels
      vocscore train shards/ -o run/ --quantize                  # faster scoring on CPUs
    """
    from shards.manifest import read_manifest
    from vocscore.machine import usable_cores
    from vocscore.training.run_folder import is_finished
    from vocscore.training.train import check_finished
    from vocscore.training.train import train as fit

    kept, config = build(RunConfig, settings), build(TrainConfig, settings)
    ranks = read_ranks(os.environ)
    read_manifest(shards)  # raises if this is not a complete set
    if kept.resume and is_finished(out):
        check_finished(shards, out, config, folds=kept.folds)
        if ranks.first:
            echo(f"{out}: already finished; nothing to resume.")
            _tell_missing(out, wanted=kept.quantize)
        return
    compute, charts = build(ComputeConfig, settings), build(ChartConfig, settings)
    # If another program (the demo, a benchmark) runs this command, that program is rerun.
    again = same_command(resumed=sys.argv[1:2] == ["train"])
    with ExitStack() as entered:
        if ranks.size == 1:
            advice = f"No checkpoint was written to {out}. Resume with: {again}"
            entered.enter_context(interruptible(advice))
        else:  # torchrun ends all processes, and prints its own message
            from vocscore.training.distributed import joined
            from vocscore.training.follow import follow

            cores = max(1, usable_cores() // ranks.local_size)
            entered.enter_context(joined(ranks, threads=cores))
            if not ranks.first:
                follow(shards, config, compute, ranks=ranks)
                return
        shown = entered.enter_context(progress("train", quiet=quiet))
        report = fit(
            shards,
            out,
            config,
            compute,
            overwrite=kept.overwrite,
            resume=kept.resume,
            folds=kept.folds,
            tensorboard=kept.tensorboard,
            quantize=kept.quantize,
            recipe=recipe,
            ranks=ranks,
            chart_format=charts.chart_format,
            command=same_command(),
            on_step=shown,
            on_epoch=None if quiet else _Table(),
            on_stage=None if quiet else shown.stage,
        )
    for problem in report.problems:  # also with --quiet
        echo(f"warning: {problem}", err=True)
    if not quiet:
        _summarize(report, config, shards, chart_format=charts.chart_format)


def _tell_missing(out: Path, *, wanted: bool) -> None:
    """Name the command that makes the 8-bit model of a finished run, if it has none."""
    from vocscore.runtime.int8 import FOLDER, REPORT

    if wanted and not (out / FOLDER / REPORT).exists():
        echo(f"its int8 model is made by: {vocscore_command('quantize', out)}")


def _summarize(
    report: TrainReport, config: TrainConfig, shards: Path, *, chart_format: str
) -> None:
    from vocscore.charts.canvas import FORMATS
    from vocscore.records.run_settings import recorded_settings
    from vocscore.records.trained_on import chosen_on_validation
    from vocscore.runtime.int8 import FOLDER

    out = report.out
    if report.weights != "none" and not report.weights.startswith(("torchvision ", "timm ")):
        echo(f"started from: {report.weights}")  # with the keys in the file
    if report.unseen:
        named = wrap(report.unseen, begin="no training image shows: ", indent="  ")
        echo("\n".join(named))
    if len(report.epochs) > report.kept:
        echo(f"kept: epoch {report.kept} of {len(report.epochs)}, the best on validation")
    if report.solved is not None:
        echo(report.solved)
    if report.residual is not None:
        echo(f"lambda {report.residual:g}, the best on validation of those that were tried")
    judged = report.reports["val"]
    echo(f"validation mAP {judged.mean_average_precision:.3f} (chance {judged.chance:.3f})")
    if chosen := chosen_on_validation(recorded_settings(config)):
        were = "were" if len(chosen) > 1 or chosen == ("thresholds",) else "was"
        echo(
            f"the {' and the '.join(chosen)} {were} chosen on the validation split, so figures on "
            "it are too optimistic; evaluate on a third split"
        )
    curves = f"curves{FORMATS[chart_format][0]}"
    charts = f", {curves}" if (out / curves).exists() else ""
    echo(f"peak memory: {peak_memory() / 2**20:,.0f} MiB")
    echo(f"checkpoint, metrics.json, history.csv{charts} and more: {out}")
    if report.quantized is not None:
        echo(str(report.quantized))
        echo(f"int8 model: {out / FOLDER} (preset {report.quantized.preset})")
    if report.out_of_fold is not None:
        _tell_folds(report, shards, config.model.threshold)
    predictions = free_path(Path("predictions.csv"))
    echo(f"next: {vocscore_command('score', shards, '-m', out, '-o', predictions)}")
    echo(f"(scores the packed images; for other images, replace {shards} by their folder)")


def _tell_folds(report: TrainReport, shards: Path, threshold: float) -> None:
    """Print the out-of-fold predictions, and the command that finds wrong labels with them."""
    from shards.manifest import read_manifest
    from shards.paths import shown

    echo(f"out-of-fold predictions of every image: {report.out_of_fold}")
    if report.lone:
        begin = "in one fold only, so the head that judged these images has not seen the class: "
        echo("\n".join(wrap([*map(shown, report.lone)], begin=begin, indent="  ")))
    words: list[object] = [
        "eval",
        report.out_of_fold,
        shards,
        "--suspects",
        free_path(Path("suspects.csv")),
    ]
    if any(";" in name for name in read_manifest(shards).classes):
        words += ["--threshold", threshold]  # labels cannot be read from the CSV file
    echo(f"suspicious labels: {vocscore_command(*words)}")


class _Table:
    """Prints two lines per epoch: loss and metrics of each split."""

    def __init__(self) -> None:
        self._begun = False

    def __call__(self, result: EpochResult) -> None:
        """Print one epoch; the first time with a header."""
        if not self._begun:
            echo("epoch  split    loss    IoU  precision  recall     F1    mAP")
        self._begun = True
        for split, figures in (("train", result.train), ("val", result.val)):
            echo(
                f"{result.epoch:5d}  {split:5s} {figures.loss:7.4f} {figures.iou:6.3f} "
                f"{figures.precision:10.3f} {figures.recall:7.3f} {figures.f1:6.3f} "
                f"{figures.mean_average_precision:6.3f}"
            )
