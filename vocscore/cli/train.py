"""`vocscore train`: shards to a model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vocscore.cli.common import (
    interruptible,
    progress,
    quiet_option,
    runtime_options,
    same_command,
)
from vocscore.config import TrainConfig

if TYPE_CHECKING:
    from vocscore.training.train import EpochResult


@click.command()
@click.argument("shards", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    "out",
    required=True,
    metavar="RUN",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the model, its history and its metrics.",
)
@click.option(
    "--backbone",
    default=TrainConfig.backbone,
    show_default=True,
    metavar="NAME",
    help="resnet18, alexnet, googlenet, or any other torchvision classifier.",
)
@click.option(
    "--weights",
    default=TrainConfig.weights,
    show_default=True,
    metavar="imagenet|none|FILE",
    help="What the backbone starts from: torchvision's ImageNet weights (downloaded once), "
    "nothing, or a torchvision state dict (.pth, .safetensors; no code in it is run).",
)
@click.option(
    "--tune",
    type=click.Choice(["head", "all"]),
    default=TrainConfig.tune,
    show_default=True,
    help="head: the backbone stays as it is. all: every parameter is trained.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=TrainConfig.epochs, show_default=True)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=TrainConfig.batch_size,
    show_default=True,
    metavar="PICTURES",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=TrainConfig.learning_rate,
    show_default=True,
    help="Of stochastic gradient descent.",
)
@click.option(
    "--momentum",
    type=click.FloatRange(0, 1, max_open=True),
    default=TrainConfig.momentum,
    show_default=True,
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=TrainConfig.threshold,
    show_default=True,
    metavar="PROBABILITY",
    help="A class is predicted from this probability on; kept in the checkpoint.",
)
@click.option(
    "--size",
    type=click.IntRange(min=1),
    default=TrainConfig.size,
    show_default=True,
    metavar="PIXELS",
    help="Height and width that pictures are resized to; kept in the checkpoint.",
)
@click.option(
    "--seed",
    type=int,
    default=TrainConfig.seed,
    show_default=True,
    help="Of the new head and the order of the pictures.",
)
@click.option(
    "--train-split",
    default=TrainConfig.train_split,
    show_default=True,
    metavar="NAME[,NAME]",
    help="Splits to train on.",
)
@click.option(
    "--val-split",
    default=TrainConfig.val_split,
    show_default=True,
    metavar="NAME[,NAME]",
    help="Splits to validate on.",
)
@runtime_options
@click.option("--overwrite", is_flag=True, help="Replace a run that is already in RUN.")
@quiet_option
def train(
    shards: Path,
    out: Path,
    *,
    workers: int | None,
    maker: str,
    device: str,
    overwrite: bool,
    quiet: bool,
    **settings: float | str,
) -> None:
    """Fit a multi-label classifier on packed shards.

    The defaults are those of the experiment that the project comes from: a frozen ImageNet
    backbone, a new linear head, binary cross-entropy, 10 epochs.

    RUN then holds the checkpoint (model.safetensors, model.json), history.csv, metrics.json,
    curves.png and config.json.

    \b
    vocscore train shards/ -o run/
    vocscore train shards/ -o run/ --backbone googlenet --tune all --epochs 30
    vocscore train shards/ -o run/ --weights resnet18.pth      (without a network)
    """
    from vocscore.machine import usable_cores
    from vocscore.training.train import train as fit

    config = TrainConfig(**settings)  # type: ignore[arg-type]  # click has checked the types
    with (
        progress("train", quiet=quiet) as shown,
        interruptible(f"No checkpoint was made in {out}. Again: {same_command()} --overwrite"),
    ):
        report = fit(
            shards,
            out,
            **asdict(config),
            maker=maker,
            device=device,
            threads=workers or usable_cores(),
            overwrite=overwrite,
            on_step=shown,
            on_epoch=(lambda _result: None) if quiet else _print_epoch,
        )
    if not quiet:
        best = report.val.mean_average_precision
        click.echo(f"validation mAP {best:.3f} (chance {report.val.chance:.3f})")
        click.echo(f"checkpoint, metrics.json, history.csv, curves.png: {out}")
        click.echo(f"next: vocscore score PICTURES -m {out} -o predictions.csv")


def _print_epoch(result: EpochResult) -> None:
    """Two lines an epoch: the split's loss and the mission's figures."""
    if result.epoch == 1:
        click.echo("epoch  split    loss    IoU  precision  recall     F1    mAP")
    for split, figures in (("train", result.train), ("val", result.val)):
        click.echo(
            f"{result.epoch:5d}  {split:5s} {figures.loss:7.4f} {figures.iou:6.3f} "
            f"{figures.precision:10.3f} {figures.recall:7.3f} {figures.f1:6.3f} "
            f"{figures.mean_average_precision:6.3f}"
        )
