"""Training: shards -> a run, a folder with a checkpoint, its history, metrics and charts.

`train` checks its arguments before torch is loaded; `fitting.py` sets up what is needed
(`setup.py`); `TrainingRun` runs the epochs of the head or the whole network, and saves the
results.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from shards.manifest import manifest_hash
from vocscore.config.compute import ComputeConfig
from vocscore.config.groups import flat
from vocscore.config.training import TrainConfig
from vocscore.device import Device
from vocscore.errors import TrainError
from vocscore.evaluation.thresholds import parse_rule
from vocscore.exporting.quantizable import require_nncf
from vocscore.models.backbones import check_backbone
from vocscore.models.weight_files import check_weights
from vocscore.ranks import ALONE
from vocscore.records.run_settings import FOLDS, SEED, recorded_settings
from vocscore.training.history import EpochResult, TrainReport
from vocscore.training.job import Job, bound_memory
from vocscore.training.recipes import load_recipe
from vocscore.training.run_folder import TENSORBOARD, check_room, check_same
from vocscore.training.splits import check_best, check_lambda, load_splits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.ranks import Ranks

__all__ = ["EpochResult", "TrainReport", "check_finished", "train"]

_OF_STEPS = (
    *("epochs", "batch_size", "optimizer", "learning_rate", "momentum", "weight_decay"),
    *("schedule", "warmup", "clip", "ema", "keep", "patience"),
)
"""Options that mean nothing where the head is solved to convergence."""


def train(
    shards: Path,
    out: Path,
    config: TrainConfig | None = None,
    compute: ComputeConfig | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    folds: int | None = None,
    tensorboard: bool = False,
    quantize: bool = False,
    recipe: str | None = None,
    ranks: Ranks = ALONE,
    chart_format: str = "png",
    command: str | None = None,
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[EpochResult], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> TrainReport:
    """Fit a multi-label classifier on packed shards.

    With tune='head' both splits are measured after each epoch. With tune='all' the metrics of the
    training split come from the training steps themselves (dropout and batch statistics active,
    the weights moving).

    Equal arguments give equal weights on the CPU of one machine, resumed or not.

    With several processes, the first one calls this, writes and decides; the others call `follow`.

    Args:
        shards: a complete dataset from `vocscore pack`.
        out: the run's folder; made if missing.
        config: every setting that affects the result.
        compute: where it runs.
        overwrite: replace an existing run.
        resume: continue an existing run after its last finished epoch; without one, start.
        folds: also write out-of-fold predictions (`OUT_OF_FOLD` in the run's folder), by heads of
            this many folds; None: do not.
        tensorboard: also write every epoch to the run's folder `tensorboard`.
        quantize: also write the 8-bit model that `vocscore quantize` makes of the run.
        recipe: the source of the settings, for the record.
        ranks: the first of the processes that train together; the others are in `follow`.
        chart_format: of the run's charts: 'png', 'svg' or 'both'.
        command: as it was typed, for the record beside out-of-fold predictions.
        on_step: called with the number of images sent through the backbone and the expected
            total.
        on_epoch: called after each epoch.
        on_stage: called with the name of each stage as it starts.

    Raises:
        TrainError: there is a run already or it has other settings, a split is missing or
            unusable, the images cannot be divided into folds, or one cannot be decoded.
        DivergedError: the loss is NaN or infinite; if an epoch was finished, the run holds the
            last kept network.
        CheckpointError: the backbone or its weights, or with `quantize` NNCF, are not available.
        DeviceError: the device does not exist.
        EvalError: an unknown rule for thresholds or difficult labels.
        DamageError: the shards are incomplete or damaged.
    """
    config, compute = config or TrainConfig(), compute or ComputeConfig()
    check_room(out, overwrite=overwrite, resume=resume)
    if folds is not None and config.optimization.tune != "head":
        raise TrainError(
            "`folds` needs `tune='head'`: other heads are trained on the same features."
        )
    if quantize:
        require_nncf()
    parse_rule(config.checkpoint.thresholds)
    Device.parse(compute.device)
    check_backbone(config.model.backbone)
    check_weights(config.model.weights, backbone=config.model.backbone)
    notes = _without_effect(config, recipe)
    job = Job(
        shards=shards,
        out=out,
        config=config,
        compute=compute,
        resume=resume,
        folds=folds,
        quantize=quantize,
        recipe=recipe,
        ranks=ranks,
        chart_format=chart_format,
        command=command,
        on_step=on_step,
        on_epoch=on_epoch,
        on_stage=on_stage,
    )
    bound_memory(compute, ranks)
    job.stage("reading labels")
    splits = load_splits(shards, config.data)
    check_best(splits, config.checkpoint)
    check_lambda(splits, config.model)
    job.stage("loading PyTorch")
    from vocscore.training.fitting import fit

    if not tensorboard:
        return _noted(fit(job, splits), notes)
    from vocscore.training.tensorboard import TensorBoardLog

    with closing(TensorBoardLog(out / TENSORBOARD)) as log:
        return _noted(fit(replace(job, on_epoch=_both(log, on_epoch)), splits), notes)


def _without_effect(config: TrainConfig, recipe: str | None) -> tuple[str, ...]:
    """A line that names the options of training in steps that were set for a solver without."""
    if not config.converges:
        return ()
    before = {**flat(TrainConfig()), **({} if recipe is None else load_recipe(recipe))}
    given = flat(config)
    named = [f"--{n.replace('_', '-')}" for n in _OF_STEPS if given[n] != before[n]]
    if not named:
        return ()
    have = "has" if len(named) == 1 else "have"
    line = f"{', '.join(named)} {have} no effect: the head is solved to convergence in one pass."
    return (f"{line} Use `solver='sgd'` to train it in steps.",)


def _noted(report: TrainReport, notes: tuple[str, ...]) -> TrainReport:
    return replace(report, problems=(*report.problems, *notes))


def _both(
    log: Callable[[EpochResult], None], on_epoch: Callable[[EpochResult], None] | None
) -> Callable[[EpochResult], None]:
    def tell(result: EpochResult) -> None:
        log(result)
        if on_epoch is not None:
            on_epoch(result)

    return tell


def check_finished(shards: Path, out: Path, config: TrainConfig, *, folds: int | None) -> None:
    """Check that a finished run matches the shards and settings of this call.

    Raises:
        TrainError: it was trained on another dataset, or with other settings.
        DamageError: the shards are incomplete or damaged.
    """
    settings = {**recorded_settings(config), SEED: config.data.seed, FOLDS: folds}
    check_same(out, {**settings, "shards_sha256": manifest_hash(shards)})
