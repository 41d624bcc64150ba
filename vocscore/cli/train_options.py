"""The options of `vocscore train`, in groups; each may be set by a recipe, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from vocscore.cli.numbers import FiniteRange
from vocscore.config import TrainConfig
from vocscore.pipeline.preprocess import MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = TypeVar("Command", bound=Callable[..., Any])

_ABOVE_0 = FiniteRange(min=0, min_open=True)
_FROM_0 = FiniteRange(min=0)
_BELOW_1 = FiniteRange(0, 1, max_open=True)


def _option(flag: str, kind: Any, text: str, **more: Any) -> Callable[[Command], Command]:
    """An option with the default of its field in `TrainConfig`."""
    name = flag.strip("-").replace("-", "_")
    default = getattr(TrainConfig, name)
    shown = default is not None
    return click.option(flag, type=kind, default=default, show_default=shown, help=text, **more)


def _flag(name: str, text: str) -> Callable[[Command], Command]:
    return click.option(
        f"--{name}/--no-{name}", default=getattr(TrainConfig, name), show_default=True, help=text
    )


def _use_recipe(context: click.Context, _option: click.Parameter, recipe: str) -> str:
    """Let the recipe's settings stand in for the defaults; what is typed goes before both."""
    from vocscore.training.recipes import load_recipe

    context.default_map = load_recipe(recipe)
    return recipe


_RECIPE = click.option(
    "--recipe",
    default="baseline",
    show_default=True,
    metavar="baseline|strong|FILE",
    is_eager=True,
    callback=_use_recipe,
    help="Settings that belong together. baseline: those of the experiment, which are the defaults "
    "below. strong: better ones. FILE: your own, in TOML, 'learning_rate = 0.001' for "
    "--learning-rate. Any option that is typed goes before the recipe.",
)

_NETWORK = (
    _option(
        "--backbone",
        str,
        "resnet18, alexnet, googlenet, or any other torchvision classifier.",
        metavar="NAME",
    ),
    _option(
        "--weights",
        str,
        "What the backbone starts from: torchvision's ImageNet weights (downloaded once), nothing, "
        "a run of this program, or a file with torchvision's state dict, as torch.save or "
        "safetensors write it or within a training's checkpoint (of which the moving average is "
        "taken, where there is one; no code in it is run).",
        metavar="imagenet|none|FILE|RUN",
    ),
    _option(
        "--size",
        click.IntRange(1, MAX_SIZE),
        "Height and width that images are resized to; kept in the checkpoint.",
        metavar="PIXELS",
    ),
    _option(
        "--threshold",
        FiniteRange(0, 1),
        "A class is predicted from this probability on; kept in the checkpoint.",
        metavar="PROBABILITY",
    ),
)

_DATA = (
    _option("--train-split", str, "Splits to train on.", metavar="NAME[,NAME]"),
    _option("--val-split", str, "Splits to validate on.", metavar="NAME[,NAME]"),
    _option(
        "--difficult",
        click.Choice(["ignore", "positive", "negative"]),
        "What a class is of which an image has only 'difficult' instances: left out of the loss "
        "and of every figure (the VOC devkit's way), present, or absent.",
    ),
    _option("--seed", int, "Of the new head and the order of the images."),
)

_OPTIMIZATION = (
    _option(
        "--tune",
        click.Choice(["head", "all"]),
        "head: the backbone stays as it is, and is run once. all: every parameter is trained.",
    ),
    _option("--epochs", click.IntRange(min=1), "Passes over the training images, at most."),
    _option("--batch-size", click.IntRange(min=1), "Images a step.", metavar="IMAGES"),
    _option(
        "--optimizer",
        click.Choice(["sgd", "adamw"]),
        "AdamW wants a learning rate some 30 times smaller than SGD's.",
    ),
    _option("--learning-rate", _ABOVE_0, "Of the head, and of the backbone with --tune all."),
    _option(
        "--backbone-rate",
        _ABOVE_0,
        "With --tune all: the backbone's learning rate is this times the head's. 0.1 spares "
        "filters that are good already.",
        metavar="FACTOR",
    ),
    _option("--momentum", _BELOW_1, "Of SGD; the first beta of AdamW."),
    _option(
        "--weight-decay",
        _FROM_0,
        "Pulls weights to zero; biases and normalizations are left alone.",
    ),
    _option(
        "--schedule",
        click.Choice(["constant", "cosine", "onecycle"]),
        "Of the learning rate, step by step: it stays, falls to zero along a cosine, or rises for "
        "30% of the steps and falls.",
    ),
    _option(
        "--warmup", _FROM_0, "The learning rate rises for so long at the start.", metavar="EPOCHS"
    ),
    _option("--clip", _FROM_0, "Shorten longer gradients to this norm; 0: never.", metavar="NORM"),
    _option(
        "--ema",
        _BELOW_1,
        "Keep a moving average of the weights with this decay a step, and validate and save it: "
        "0.99 averages some 100 steps; 0: none.",
        metavar="DECAY",
    ),
    _flag(
        "standardize",
        "With --tune head: train on centered features of one scale, starting from how frequent each "
        "class is. The checkpoint needs no extra step.",
    ),
    _option(
        "--precision",
        click.Choice(["float32", "bf16", "auto"]),
        "Of a frozen backbone, or of the steps with --tune all; auto: bf16 where the device has "
        "it. Head and weights stay in float32, and so do the validation figures that are kept, "
        "unless 'score' may compute in bf16, too.",
    ),
)

_AUGMENTATION = (
    _option(
        "--crop-scale",
        FiniteRange(0, 1, min_open=True),
        "With --tune all: train on random crops, of this share of an image's area at least, "
        "resized to --size; 1: on whole images. 0.35 is usual with pretrained weights.",
        metavar="SHARE",
    ),
    _option(
        "--flip",
        FiniteRange(0, 1),
        "With --tune all: mirror training images left to right, this often. 0.5 suits what has "
        "no left and right, as most photographs.",
        metavar="PROBABILITY",
    ),
    _option(
        "--jitter",
        FiniteRange(0, 1),
        "With --tune all: change brightness, contrast and saturation of training images, each by "
        "up to this: 0.2 is from 80% to 120%.",
        metavar="STRENGTH",
    ),
)

_LOSS = (
    _option(
        "--loss",
        click.Choice(["bce", "asl"]),
        "Binary cross-entropy, or asymmetric loss (Ridnik et al. 2021), which hardly counts the "
        "many easy absences.",
    ),
    _option(
        "--class-weight",
        FiniteRange(min=1),
        "A positive of a rare class weighs as much as there are negatives a positive in the "
        "training split, at most this; 1: all alike.",
        metavar="LIMIT",
    ),
    _option("--gamma-positive", _FROM_0, "ASL: larger counts easy positives less."),
    _option("--gamma-negative", _FROM_0, "ASL: larger counts easy negatives less."),
    _option("--margin", _BELOW_1, "ASL: negatives below this probability cost nothing at all."),
)

_KEEPING = (
    _option(
        "--keep",
        click.Choice(["last", "best"]),
        "Which epoch's network is the checkpoint: the last, or the one with the best validation "
        "mAP (which then flatters: it was chosen by it).",
    ),
    _option(
        "--patience",
        click.IntRange(min=1),
        "Stop after so many epochs without a better validation mAP.  [default: never]",
        metavar="EPOCHS",
    ),
    _option(
        "--thresholds",
        str,
        "One threshold a class, fitted on the validation split and kept in the checkpoint: those "
        "with the best F1, or the lowest with that precision. fixed: --threshold for all.",
        metavar="fixed|f1|precision=P",
    ),
    _flag(
        "calibrate",
        "Fit a temperature on the validation split, so that of the images with probability 0.8 "
        "about 80% show the class; kept in the checkpoint.",
    ),
)


def settings_options(command: Command) -> Command:
    """Every option that a recipe may set, and --recipe."""
    for group in (_KEEPING, _LOSS, _AUGMENTATION, _OPTIMIZATION, _DATA, _NETWORK):
        for option in reversed(group):
            command = option(command)
    return _RECIPE(command)
