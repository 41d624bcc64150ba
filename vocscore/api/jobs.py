"""The commands as functions, with the same options, defaults and errors."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from shards.paths import shown as shown_name
from vocscore.api.checks import path, path_text, refuse_file_as_folder
from vocscore.api.progress import opened
from vocscore.api.results import report
from vocscore.api.settings import settings, takes
from vocscore.config.charts import ChartConfig
from vocscore.config.compute import ComputeConfig
from vocscore.config.demo import BACKBONE, LEARNING_RATE, SIZE, DemoConfig
from vocscore.config.evaluating import EvalConfig
from vocscore.config.exporting import ExportConfig, QuantizeConfig
from vocscore.config.groups import build
from vocscore.config.packing import PackConfig
from vocscore.config.scoring import ScoreConfig
from vocscore.config.training import RunConfig, TrainConfig
from vocscore.config.verifying import VerifyConfig
from vocscore.errors import EvalError, InfoError, OptionError, TrainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from typing_extensions import Unpack

    from vocscore.api.evaluation import Evaluation
    from vocscore.api.info import Info
    from vocscore.api.keywords import (
        DemoKeywords,
        EvalKeywords,
        ExportKeywords,
        PackKeywords,
        QuantizeKeywords,
        ScoreKeywords,
        TrainKeywords,
        VerifyKeywords,
    )
    from vocscore.api.progress import Progress
    from vocscore.config.option import Group
    from vocscore.exporting.export import ExportReport
    from vocscore.exporting.quantize import QuantizeReport
    from vocscore.packing import PackReport
    from vocscore.scoring.score_report import ScoreReport
    from vocscore.training.train import EpochResult, TrainReport
    from vocscore.verifying import VerifyReport

    PathLike = str | os.PathLike[str]


@takes(PackConfig)
def pack(
    source: PathLike | None,
    output: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[PackKeywords],
) -> PackReport:
    """Write images and their labels into WebDataset tar shards, as `vocscore pack` does.

    If interrupted, the same call resumes and gives the same bytes.

    Args:
        source: a folder of images; None with `download`.
        output: folder for the shards.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        What was written and what was left out. Notes about the source are warnings (`UserWarning`).

    Raises:
        Error: the source, its labels or an option is not usable; one line says where, what, and
            the cure.
    """
    from vocscore.packing import pack as run

    given = settings(keywords, options, PackConfig)
    folder, out = None if source is None else path("source", source), path("output", output)
    with opened("pack", progress) as shown:
        return run(
            folder,
            out,
            build(PackConfig, given),
            on_stage=shown.stage,
            on_images=shown,
            on_warning=_warn,
        )


@takes(VerifyConfig)
def verify(
    shards: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[VerifyKeywords],
) -> VerifyReport:
    """Check a packed set and find images in it that look alike, as `vocscore verify` does.

    Args:
        shards: a folder that `pack` wrote.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        The problems, and with `duplicates` the near duplicates. Damage does not raise.

    Raises:
        Error: `shards` is not a folder, or an option is not usable.
    """
    from vocscore.verifying import verify as run

    config = build(VerifyConfig, settings(keywords, options, VerifyConfig))
    folder = path("shards", shards)
    if not folder.is_dir():
        raise OptionError("{shards} {folder}: not a folder.", folder=folder)
    with opened("verify", progress) as shown:
        return run(folder, config, on_stage=shown.stage, progress=shown)


@takes(TrainConfig, RunConfig, ComputeConfig, ChartConfig)
def train(
    shards: PathLike,
    output: PathLike,
    *,
    recipe: PathLike = "baseline",
    options: Group | Iterable[Group] = (),
    on_epoch: Callable[[EpochResult], None] | None = None,
    progress: bool | Progress | None = None,
    **keywords: Unpack[TrainKeywords],
) -> TrainReport:
    """Fit a multi-label classifier on packed shards, as `vocscore train` does.

    Runs in this process; for several GPUs run the command with torchrun.

    Args:
        shards: a folder that `pack` wrote.
        output: folder for the run: the checkpoint, its history, its metrics, charts.
        recipe: 'baseline' (the defaults), 'strong', or the path of a TOML file.
        options: groups of options, which set all of their options and override the recipe; keywords
            take precedence.
        on_epoch: called with the metrics of both splits after each epoch.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        Every epoch's metrics, and all metrics of the kept epoch.

    Raises:
        Error: the shards, the weights or an option is not usable, or the loss is NaN or infinite;
            one line says where, what, and the cure.
    """
    from vocscore.ranks import read_ranks
    from vocscore.training.recipes import load_recipe
    from vocscore.training.run_folder import is_finished
    from vocscore.training.train import train as run

    recipe = path_text("recipe", recipe, what="recipe")
    given = settings(
        keywords,
        options,
        *(TrainConfig, RunConfig, ComputeConfig, ChartConfig),
        before=load_recipe(recipe),
    )
    kept, folder, out = build(RunConfig, given), path("shards", shards), path("output", output)
    if read_ranks(os.environ).size > 1:
        raise TrainError(
            "vocscore.train runs in one process. Use: torchrun -m vocscore train SHARDS -o RUN"
        )
    if kept.resume and is_finished(out):
        raise TrainError(f"{out}: is already finished; nothing to resume.")
    with opened("train", progress) as shown:
        return run(
            folder,
            out,
            build(TrainConfig, given),
            build(ComputeConfig, given),
            overwrite=kept.overwrite,
            resume=kept.resume,
            folds=kept.folds,
            tensorboard=kept.tensorboard,
            recipe=recipe,
            chart_format=build(ChartConfig, given).chart_format,
            on_step=shown,
            on_epoch=on_epoch,
            on_stage=shown.stage,
        )


@takes(ScoreConfig)
def score(
    source: PathLike,
    output: PathLike,
    *,
    model: PathLike,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[ScoreKeywords],
) -> ScoreReport:
    """Write one row of class probabilities for every image, as `vocscore score` does.

    If interrupted, the same call resumes and gives the same bytes.

    Args:
        source: a folder, packed shards, WebDataset tars, a list file, or one image.
        output: a .csv, .parquet or .jsonl file; with `format` a folder.
        model: a folder that `train` wrote.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        The numbers of images and errors, the rate, and notes for the user.

    Raises:
        Error: the source, the model or an option is not usable; finished units are kept. A bad
            image gets a row and does not raise.
    """
    from vocscore.scoring.run import score as run

    config = build(ScoreConfig, settings(keywords, options, ScoreConfig))
    images = path_text("source", source, what="folder or file")
    out, checkpoint = path("output", output, what="file"), path("model", model)
    with opened("score", progress) as shown:
        return run(
            images,
            out,
            config,
            checkpoint=checkpoint,
            progress=shown,
            listing=shown.listing,
            on_stage=shown.stage,
        )


@takes(EvalConfig)
def evaluate(
    predictions: PathLike,
    shards: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    **keywords: Unpack[EvalKeywords],
) -> Evaluation:
    """Compute the metrics of predictions, as `vocscore eval` does.

    Args:
        predictions: the output of `score`, with all probabilities.
        shards: the packed dataset with the labels.
        options: groups of options, which set all of their options; keywords take precedence.
        **keywords: every option of the command.

    Returns:
        Every metric, with intervals; `print` shows the table of `vocscore eval`.

    Raises:
        Error: predictions and labels cannot be compared.
    """
    from vocscore.api.evaluation import Evaluation
    from vocscore.evaluation.evaluate import evaluate as run

    config = build(EvalConfig, settings(keywords, options, EvalConfig))
    file, labeled = path("predictions", predictions, what="file"), path("shards", shards)
    try:
        report = run(
            file,
            labeled,
            split=config.judged.split,
            model=config.judged.model,
            threshold=config.metrics.threshold,
            difficult=config.metrics.difficult,
            resamples=config.bootstrap.resamples,
            seed=config.bootstrap.seed,
        )
    except OSError as error:
        where = file if error.filename is None else os.fsdecode(error.filename)
        raise EvalError(
            f"{shown_name(str(where))}: {error.strerror or error}. Name what 'vocscore score' "
            "wrote, and the shards with the labels."
        ) from error
    return Evaluation.of(report)


def info(target: PathLike) -> Info:
    """Find out what a file or folder is, and what it was made from, as `vocscore info` does.

    Args:
        target: predictions, finished or not, or their record; a run; shards; an exported model.

    Returns:
        Its facts; `print` shows them as text.

    Raises:
        Error: it is nothing that vocscore writes, or damaged.
    """
    from vocscore.api.info import read_info

    where = path("target", target, what="file or folder")
    try:
        return read_info(where)
    except OSError as error:
        raise InfoError(f"{shown_name(str(where))}: {error.strerror or error}.") from error


@takes(QuantizeConfig)
def quantize(
    run: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[QuantizeKeywords],
) -> QuantizeReport:
    """Make the 8-bit form of a model, for `precision="int8"`, as `vocscore quantize` does.

    Args:
        run: a folder that `train` wrote; the 8-bit model is written beside its weights.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        The differences from float32.

    Raises:
        Error: it differs too much, or cannot be made; nothing was written.
    """
    from vocscore.exporting.quantize import quantize as make

    config = build(QuantizeConfig, settings(keywords, options, QuantizeConfig))
    folder = path("run", run)
    with opened("quantize", progress) as shown:
        return make(folder, config, on_images=shown, on_stage=shown.stage)


@takes(ExportConfig)
def export(
    run: PathLike,
    output: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[ExportKeywords],
) -> ExportReport:
    """Write a model for ONNX Runtime or OpenVINO, as `vocscore export` does.

    Args:
        run: a folder that `train` wrote.
        output: FILE.onnx, or FILE.xml for OpenVINO.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        The files, and the largest difference of the new model's probabilities from PyTorch's.

    Raises:
        Error: the model cannot be written, or gives other probabilities; nothing was written.
    """
    from vocscore.exporting.job import export as write

    config = build(ExportConfig, settings(keywords, options, ExportConfig))
    folder, out = path("run", run), path("output", output, what="file")
    with opened("export", progress) as shown:
        return write(folder, out, config, on_images=shown, on_stage=shown.stage)


@takes(DemoConfig)
def demo(
    output: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[DemoKeywords],
) -> Path:
    """Draw a small VOC dataset, then pack, train, score and report it, without any download.

    Args:
        output: folder for everything: VOCdrawn/, shards/, run/, predictions.csv, report.html.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        The folder.

    Raises:
        Error: a file exists already, and `overwrite` is not set, or `output` is not a folder.
    """
    from shards.synthetic.voc import draw_voc
    from vocscore.drawn_demo import make_room, spoil_one_image

    config = build(DemoConfig, settings(keywords, options, DemoConfig))
    out = path("output", output)
    refuse_file_as_folder("output", out)
    make_room(out, overwrite=config.overwrite)
    with opened("demo", progress) as shown:
        shown.stage("drawing")
        draw_voc(out / "VOCdrawn", images=config.images, seed=1)
    pack(out / "VOCdrawn", out / "shards", progress=progress)
    train(
        out / "shards",
        out / "run",
        backbone=BACKBONE,
        weights="none",
        tune="all",
        size=SIZE,
        learning_rate=LEARNING_RATE,
        epochs=config.epochs,
        progress=progress,
    )
    images = out / "VOCdrawn" / "JPEGImages"
    spoil_one_image(images)
    predictions = out / "predictions.csv"
    score(images, predictions, model=out / "run", progress=progress)
    report(predictions, out / "report.html", labels=out / "shards", progress=progress)
    return out


def _warn(line: str) -> None:
    """Warn about a part of the source that was changed or left out."""
    warnings.warn(line.removeprefix("warning: "), UserWarning, stacklevel=4)
