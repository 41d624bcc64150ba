"""The commands as functions, with the same options, defaults and errors."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from vocscore.api.checks import output_place, path, path_text, place, run_place
from vocscore.api.progress import opened
from vocscore.api.settings import settings, takes
from vocscore.config.charts import ChartConfig
from vocscore.config.compute import ComputeConfig
from vocscore.config.groups import build
from vocscore.config.packing import PackConfig
from vocscore.config.planning import PlanConfig
from vocscore.config.scoring import ScoreConfig
from vocscore.config.training import RunConfig, TrainConfig
from vocscore.config.verifying import VerifyConfig
from vocscore.errors import OptionError, TrainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Unpack

    from vocscore.api.keywords import (
        PackKeywords,
        PlanKeywords,
        ScoreKeywords,
        TrainKeywords,
        VerifyKeywords,
    )
    from vocscore.api.progress import Progress
    from vocscore.config.option import Group
    from vocscore.packing import PackReport
    from vocscore.scoring.forecast.plan_report import PlanReport
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
    folder, out = None if source is None else place("source", source), path("output", output)
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
    folder = place("shards", shards)
    if not folder.is_dir():
        raise OptionError(f"`shards={str(folder)!r}`: not a folder.")
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
    kept, folder, out = build(RunConfig, given), place("shards", shards), path("output", output)
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
            quantize=kept.quantize,
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
    from vocscore.scoring.jobs.start import start

    config = build(ScoreConfig, settings(keywords, options, ScoreConfig))
    images = path_text("source", source, what="folder or file")
    out, checkpoint = output_place("output", output), run_place("model", model)
    with opened("score", progress) as shown:
        return start(
            images,
            out,
            config,
            checkpoint=checkpoint,
            progress=shown,
            listing=shown.listing,
            on_stage=shown.stage,
        )


@takes(PlanConfig)
def plan(
    source: PathLike,
    output: PathLike = "predictions.csv",
    *,
    model: PathLike,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[PlanKeywords],
) -> PlanReport:
    """Measure on a sample what scoring takes, and predict the whole run, as `vocscore plan` does.

    Args:
        source: a folder, packed shards, WebDataset tars, a list file, or one image.
        output: the predictions of the run, which are not written now.
        model: a folder that `train` wrote.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        What was measured, the time with its range, bytes, requests, the bottleneck, the unit size
        that is advised; `print` shows it.

    Raises:
        Error: the source, the model or an option is not usable.
    """
    from vocscore.scoring.forecast.forecast import plan as run

    config = build(PlanConfig, settings(keywords, options, PlanConfig))
    images = path_text("source", source, what="folder or file")
    out, checkpoint = output_place("output", output), run_place("model", model)
    with opened("plan", progress) as shown:
        return run(
            images,
            out,
            config,
            checkpoint=checkpoint,
            listing=shown.listing,
            on_stage=shown.stage,
        )


def _warn(line: str) -> None:
    """Warn about a part of the source that was changed or left out."""
    warnings.warn(line.removeprefix("warning: "), UserWarning, stacklevel=4)
