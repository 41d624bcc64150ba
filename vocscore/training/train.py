"""Shards -> a run: a folder with a checkpoint, its history, its metrics and its curves.

The way through: `train` refuses what cannot be done, before torch is loaded; `fitting.py` opens
what is needed (`opening.py`); `Run` takes the head's or the whole network's fit through its epochs
and keeps what it gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.errors import TrainError
from vocscore.evaluation.thresholds import parse_rule
from vocscore.machine import parse_device
from vocscore.models.backbones import check_backbone
from vocscore.models.weight_files import check_weights
from vocscore.pipeline.augment import Augmentation
from vocscore.ranks import ALONE
from vocscore.training.choices import check_warmup
from vocscore.training.history import EpochResult, TrainReport
from vocscore.training.job import Job
from vocscore.training.run_folder import check_room
from vocscore.training.splits import check_best, load_splits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.ranks import Ranks
    from vocscore.training.choices import (
        DataChoice,
        Keeping,
        LossChoice,
        NetworkChoice,
        Optimization,
    )

__all__ = ["EpochResult", "TrainReport", "train"]


def train(
    shards: Path,
    out: Path,
    *,
    network: NetworkChoice,
    data: DataChoice,
    optimization: Optimization,
    loss: LossChoice,
    keeping: Keeping,
    augmentation: Augmentation,
    seed: int,
    loader: str,
    device: str,
    threads: int,
    overwrite: bool,
    resume: bool = False,
    recipe: str | None = None,
    ranks: Ranks = ALONE,
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
        network: which network.
        data: which images.
        optimization: what is trained, in which steps.
        loss: what is made small.
        keeping: which epoch's network becomes the checkpoint.
        augmentation: what is done to training images, anew in each epoch; with tune='all' only.
        seed: of the new weights, the order of the images, and what is done to them.
        loader: who decodes, as for `open_loader`.
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        threads: of the loader.
        overwrite: replace a run that is there already.
        resume: go on after the last finished epoch of the run that is there; without one, start.
        recipe: where the settings come from, for the record.
        ranks: the first of the processes that train together; the others are in `follow`.
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
    check_room(out, overwrite=overwrite, resume=resume)
    parse_rule(keeping.thresholds)
    check_warmup(optimization)
    _check_augmentation(augmentation, optimization)
    parse_device(device)
    check_backbone(network.backbone)
    check_weights(network.weights, backbone=network.backbone)
    job = Job(
        shards=shards,
        out=out,
        network=network,
        data=data,
        optimization=optimization,
        loss=loss,
        keeping=keeping,
        augmentation=augmentation,
        seed=seed,
        loader=loader,
        device=device,
        threads=threads,
        resume=resume,
        recipe=recipe,
        ranks=ranks,
        on_step=on_step,
        on_epoch=on_epoch,
        on_stage=on_stage,
    )
    job.stage("reading labels")
    splits = load_splits(shards, data)
    check_best(splits, keeping)
    job.stage("loading PyTorch")
    from vocscore.training.fitting import fit

    return fit(job, splits)


def _check_augmentation(augmentation: Augmentation, choice: Optimization) -> None:
    """Refuse it for features that are computed once: docs/training.md says why."""
    if choice.tune == "head" and augmentation != Augmentation():
        raise TrainError(
            "--crop-scale, --flip and --jitter need --tune all: with --tune head each image goes "
            "through the backbone once, as it is."
        )
