"""Shards -> a run: a folder with a checkpoint, its history, its metrics and its curves.

The way through: `train` refuses what cannot be done, before torch is loaded; `fitting.py` sets
up what is needed (`setup.py`); `Run` takes the head's or the whole network's fit through its epochs
and keeps what it gave.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from shards.manifest import manifest_hash
from vocscore.config.compute import ComputeConfig
from vocscore.config.training import TrainConfig
from vocscore.device import Device
from vocscore.evaluation.thresholds import parse_rule
from vocscore.models.backbones import check_backbone
from vocscore.models.weight_files import check_weights
from vocscore.ranks import ALONE
from vocscore.records.run_settings import SEED, recorded_settings
from vocscore.training.history import EpochResult, TrainReport
from vocscore.training.job import Job
from vocscore.training.run_folder import TENSORBOARD, check_room, check_same
from vocscore.training.splits import check_best, load_splits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.ranks import Ranks

__all__ = ["EpochResult", "TrainReport", "check_finished", "train"]


def train(
    shards: Path,
    out: Path,
    config: TrainConfig | None = None,
    compute: ComputeConfig | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    recipe: str | None = None,
    ranks: Ranks = ALONE,
    chart_format: str = "png",
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[EpochResult], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> TrainReport:
    """Fit a multi-label classifier on packed shards.

    With tune='head' both splits are measured after each epoch. With tune='all' the figures of the
    training split are those of the training steps themselves (dropout and batch statistics
    active, the weights moving).

    Equal arguments give equal weights on the CPU of one machine, resumed or not.

    Of several processes the first one is here, writes and decides; the others are in `follow`.

    Args:
        shards: a finished set, as `vocscore pack` leaves it.
        out: the run's folder; made if missing.
        config: everything that decides what the training comes to.
        compute: where it runs.
        overwrite: replace a run that is there already.
        resume: go on after the last finished epoch of the run that is there; without one, start.
        tensorboard: write every epoch to the folder `tensorboard` of the run, too.
        recipe: where the settings come from, for the record.
        ranks: the first of the processes that train together; the others are in `follow`.
        chart_format: of the run's charts: 'png', 'svg' or 'both'.
        on_step: called with the images sent through the backbone so far, and how many it will
            be in all.
        on_epoch: called after each epoch.
        on_stage: called with what begins, in words.

    Raises:
        TrainError: a run is there already or was asked for something else, a split is missing or
            cannot be learnt from, or an image cannot be decoded.
        DivergedError: the loss is not a number; the run holds the network that was kept before, if
            an epoch had been finished.
        CheckpointError: the backbone or its weights cannot be had.
        DeviceError: the device is not there.
        EvalError: no such rule of thresholds or of difficult labels.
        DamageError: the shards are unfinished or damaged.
    """
    config, compute = config or TrainConfig(), compute or ComputeConfig()
    check_room(out, overwrite=overwrite, resume=resume)
    parse_rule(config.checkpoint.thresholds)
    Device.parse(compute.device)
    check_backbone(config.model.backbone)
    check_weights(config.model.weights, backbone=config.model.backbone)
    job = Job(
        shards=shards,
        out=out,
        config=config,
        compute=compute,
        resume=resume,
        recipe=recipe,
        ranks=ranks,
        chart_format=chart_format,
        on_step=on_step,
        on_epoch=on_epoch,
        on_stage=on_stage,
    )
    job.stage("reading labels")
    splits = load_splits(shards, config.data)
    check_best(splits, config.checkpoint)
    job.stage("loading PyTorch")
    from vocscore.training.fitting import fit

    if not tensorboard:
        return fit(job, splits)
    from vocscore.training.tensorboard import TensorBoardLog

    with closing(TensorBoardLog(out / TENSORBOARD)) as log:
        return fit(replace(job, on_epoch=_both(log, on_epoch)), splits)


def _both(
    log: Callable[[EpochResult], None], on_epoch: Callable[[EpochResult], None] | None
) -> Callable[[EpochResult], None]:
    def tell(result: EpochResult) -> None:
        log(result)
        if on_epoch is not None:
            on_epoch(result)

    return tell


def check_finished(shards: Path, out: Path, config: TrainConfig) -> None:
    """Refuse to take a finished run for what is asked for now.

    Raises:
        TrainError: it was trained on another set, or with other settings.
        DamageError: the shards are unfinished or damaged.
    """
    settings = {**recorded_settings(config), SEED: config.data.seed}
    check_same(out, {**settings, "shards_sha256": manifest_hash(shards)})
