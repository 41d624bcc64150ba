"""`vocscore train`: shards to a model."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vocscore.cli import paths
from vocscore.cli.common import (
    interruptible,
    progress,
    quiet_option,
    runtime_options,
    same_command,
)
from vocscore.cli.shown_commands import free_path, vocscore_command
from vocscore.cli.train_options import settings_options
from vocscore.config import TrainConfig
from vocscore.ranks import read_ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vocscore.training.train import EpochResult, TrainReport

Choice = TypeVar("Choice")


@click.command()
@click.argument("shards", type=paths.SHARDS)
@click.option(
    "-o",
    "--output",
    "out",
    required=True,
    metavar="RUN",
    type=paths.new_folder("the model, its history and its metrics"),
    help="Folder for the model, its history and its metrics.",
)
@settings_options
@runtime_options
@click.option(
    "--resume",
    is_flag=True,
    help="Go on after the last finished epoch of an interrupted run in RUN, with the same settings "
    "and the same result; without one there, start.",
)
@click.option("--overwrite", is_flag=True, help="Replace a run that is already in RUN.")
@click.option(
    "--tensorboard",
    is_flag=True,
    help="Write every epoch's figures and the learning rate to RUN/tensorboard, to be looked at "
    "while training goes on: tensorboard --logdir RUN. Needs pip install 'vocscore[tensorboard]'.",
)
@quiet_option
def train(
    shards: Path,
    out: Path,
    *,
    recipe: str,
    workers: int | None,
    loader: str,
    device: str,
    resume: bool,
    overwrite: bool,
    tensorboard: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Fit a multi-label classifier on packed shards.

    The defaults are those of the experiment that the project comes from: a frozen ImageNet
    backbone, a new linear head, binary cross-entropy, 10 epochs.

    RUN then holds the checkpoint (model.safetensors, model.json), history.csv, metrics.json,
    config.json, images.csv (what it was trained and validated on), and charts: curves.png (how
    training went), and of the validation split per_class_ap.png, reliability.png and
    missed_together.png.

    \b
    vocscore train shards/ -o run/
    vocscore train shards/ -o run/ --recipe strong
    vocscore train shards/ -o run/ --recipe strong --tune all --backbone googlenet
    vocscore train shards/ -o run/ --weights resnet18.pth      # without a network
    """
    from shards.manifest import manifest_hash, read_manifest
    from vocscore.machine import usable_cores
    from vocscore.training.choices import Keeping
    from vocscore.training.run_folder import check_same, is_finished
    from vocscore.training.train import train as fit

    if resume and overwrite:
        raise click.UsageError("--resume keeps what --overwrite removes: give one of them.")
    ranks = read_ranks(os.environ)
    config = TrainConfig(**settings)
    read_manifest(shards)  # refuses what is no finished set
    if resume and is_finished(out):
        check_same(out, {**asdict(config), "shards_sha256": manifest_hash(shards)})
        if ranks.first:
            click.echo(f"{out}: is finished already; nothing to resume.")
        return
    cores = max(1, usable_cores() // ranks.local_size)
    asked = {
        **_everyones(config),
        "loader": loader,
        "device": device,
        "threads": workers or cores,
        "ranks": ranks,
    }
    # Of what runs this command for someone (the demo, a benchmark), the whole is run again.
    again = same_command(resumed=sys.argv[1:2] == ["train"])
    with ExitStack() as entered:
        if ranks.size == 1:
            advice = f"No checkpoint was made in {out}. Go on: {again}"
            entered.enter_context(interruptible(advice))
        else:  # torchrun ends all of them, and has the last word
            from vocscore.training.distributed import joined
            from vocscore.training.follow import follow

            entered.enter_context(joined(ranks, threads=cores))
            if not ranks.first:
                follow(shards, **asked)
                return
        shown = entered.enter_context(progress("train", quiet=quiet))
        watch = entered.enter_context(_watched(out, tensorboard=tensorboard, quiet=quiet))
        report = fit(
            shards,
            out,
            **asked,
            keeping=_chosen(Keeping, config),
            overwrite=overwrite,
            resume=resume,
            recipe=recipe,
            on_step=shown,
            on_epoch=watch,
            on_stage=None if quiet else shown.stage,
        )
    for problem in report.problems:  # --quiet or not
        click.echo(f"warning: {problem}", err=True)
    if not quiet:
        _summarize(report, config, shards)


@contextmanager
def _watched(
    out: Path, *, tensorboard: bool, quiet: bool
) -> Iterator[Callable[[EpochResult], None]]:
    """Who looks at each epoch: the table on standard output, TensorBoard, both or nobody."""
    with ExitStack() as opened:
        watchers: list[Callable[[EpochResult], None]] = [] if quiet else [_Table()]
        if tensorboard:
            from vocscore.training.run_folder import TENSORBOARD
            from vocscore.training.tensorboard import TensorBoardLog

            log = opened.enter_context(closing(TensorBoardLog(out / TENSORBOARD)))
            watchers.append(log)

        def watch(result: EpochResult) -> None:
            for watcher in watchers:
                watcher(result)

        yield watch


def _everyones(config: TrainConfig) -> dict[str, Any]:
    """What every process of a training has to know."""
    from vocscore.pipeline.augment import Augmentation
    from vocscore.training import choices

    return {
        "network": _chosen(choices.NetworkChoice, config),
        "data": _chosen(choices.DataChoice, config),
        "optimization": _chosen(choices.Optimization, config),
        "loss": _chosen(choices.LossChoice, config),
        "augmentation": _chosen(Augmentation, config),
        "seed": config.seed,
    }


def _chosen(kind: type[Choice], config: TrainConfig) -> Choice:
    """The fields of one group, out of the config."""
    return kind(**{field.name: getattr(config, field.name) for field in fields(kind)})  # type: ignore[arg-type]


def _summarize(report: TrainReport, config: TrainConfig, shards: Path) -> None:
    from vocscore.records.trained_on import chosen_on_validation

    out = report.out
    if report.weights != "none" and not report.weights.startswith("torchvision "):
        click.echo(f"started from: {report.weights}")  # with the place in the file
    if report.unseen:
        click.echo(f"no training image shows: {', '.join(report.unseen)}")
    if len(report.epochs) > report.kept:
        click.echo(f"kept: epoch {report.kept} of {len(report.epochs)}, the best on validation")
    judged = report.reports["val"]
    click.echo(f"validation mAP {judged.mean_average_precision:.3f} (chance {judged.chance:.3f})")
    if chosen := chosen_on_validation(asdict(config)):
        click.echo(
            f"the {' and the '.join(chosen)} were chosen on the validation split, so figures on it "
            "flatter; a third split tells more"
        )
    charts = "" if report.problems else ", curves.png"
    click.echo(f"checkpoint, metrics.json, history.csv{charts} and more: {out}")
    predictions = free_path(Path("predictions.csv"))
    click.echo(f"next: {vocscore_command('score', shards, '-m', out, '-o', predictions)}")
    click.echo("(scores the packed images; for others, name their folder in place of the first)")


class _Table:
    """Two lines an epoch: the split's loss and the mission's figures."""

    def __init__(self) -> None:
        """Print nothing yet."""
        self._begun = False

    def __call__(self, result: EpochResult) -> None:
        """Print one epoch, under a header the first time."""
        if not self._begun:
            click.echo("epoch  split    loss    IoU  precision  recall     F1    mAP")
        self._begun = True
        for split, figures in (("train", result.train), ("val", result.val)):
            click.echo(
                f"{result.epoch:5d}  {split:5s} {figures.loss:7.4f} {figures.iou:6.3f} "
                f"{figures.precision:10.3f} {figures.recall:7.3f} {figures.f1:6.3f} "
                f"{figures.mean_average_precision:6.3f}"
            )
