"""The options of `vocscore train`; the defaults are those of the experiment it comes from.

A recipe may set every field of `TrainConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from vocscore.config.compute import max_pixels_option
from vocscore.config.option import Group, option
from vocscore.errors import OptionError

MAX_SIZE: Final = 16384
"""Pixels per side of what a network sees; a batch of larger images fits no memory."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Group):
    """Which network."""

    title: ClassVar[str] = "Model"

    backbone: str = option(
        "resnet18",
        help="resnet18, alexnet, googlenet, or any other torchvision classifier.",
        metavar="NAME",
    )
    weights: str = option(
        "imagenet",
        help="What the backbone starts from: torchvision's ImageNet weights (downloaded once), "
        "nothing, a run of this program, or a file with torchvision's state dict, as torch.save "
        "or safetensors writes it or inside a training checkpoint (the moving average of the "
        "weights is taken where there is one; no code in the file is run).",
        metavar="imagenet|none|FILE|RUN",
    )
    size: int = option(
        256,
        help="Height and width that images are resized to; kept in the checkpoint.",
        metavar="PIXELS",
        minimum=1,
        maximum=MAX_SIZE,
    )
    threshold: float = option(
        0.5,
        help="A class is predicted from this probability on; kept in the checkpoint.",
        metavar="PROBABILITY",
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class DataConfig(Group):
    """Which images, and what their labels mean."""

    title: ClassVar[str] = "Data"

    train_split: str = option("train", help="Splits to train on.", metavar="NAME[,NAME]")
    val_split: str = option("val", help="Splits to validate on.", metavar="NAME[,NAME]")
    max_pixels: int = max_pixels_option("is refused before it is decoded")
    difficult: str = option(
        "ignore",
        help="How to treat a class of which an image shows only 'difficult' instances: left out "
        "of the loss and of every figure (as the VOC devkit does), present, or absent.",
        choices=("ignore", "positive", "negative"),
    )
    seed: int = option(0, help="Of the new head and the order of the images.")


@dataclass(frozen=True, kw_only=True)
class OptimizationConfig(Group):
    """What is trained, and in which steps."""

    title: ClassVar[str] = "Optimization"

    tune: str = option(
        "head",
        help="head: the backbone stays frozen, and its features are computed once. all: every "
        "parameter is trained.",
        choices=("head", "all"),
    )
    epochs: int = option(10, help="Passes over the training images, at most.", minimum=1)
    batch_size: int = option(20, help="Images per step.", metavar="IMAGES", minimum=1)
    optimizer: str = option(
        "sgd",
        help="AdamW wants a learning rate some 30 times smaller than SGD's.",
        choices=("sgd", "adamw"),
    )
    learning_rate: float = option(
        0.01, help="Of the head, and of the backbone with {tune} all.", above=0
    )
    backbone_rate: float = option(
        1.0,
        help="With {tune} all: the backbone's learning rate is this times the head's. 0.1 "
        "protects filters that are good already.",
        metavar="FACTOR",
        above=0,
    )
    momentum: float = option(0.9, help="Of SGD; the first beta of AdamW.", minimum=0, below=1)
    weight_decay: float = option(
        0.0,
        help="Pulls weights toward zero; biases and normalization layers have none.",
        minimum=0,
    )
    schedule: str = option(
        "constant",
        help="Of the learning rate, step by step: it stays, falls to zero along a cosine, or rises "
        "for 30% of the steps and falls.",
        choices=("constant", "cosine", "onecycle"),
    )
    warmup: float = option(
        0.0,
        help="The learning rate rises for this long at the start.",
        metavar="EPOCHS",
        minimum=0,
    )
    clip: float = option(
        0.0,
        help="Scale larger gradients down to this norm; 0: never.",
        metavar="NORM",
        minimum=0,
    )
    ema: float = option(
        0.0,
        help="Keep a moving average of the weights with this decay per step, and validate and save "
        "it: 0.99 averages some 100 steps; 0: none.",
        metavar="DECAY",
        minimum=0,
        below=1,
    )
    standardize: bool = option(
        False,
        help="With {tune} head: train on standardized features (zero mean, unit scale), starting "
        "from how frequent each class is. The checkpoint needs no extra step.",
        flag="--standardize/--no-standardize",
    )
    precision: str = option(
        "float32",
        help="Of a frozen backbone, or of the steps with {tune} all; auto: bf16 where the device "
        "has it. Head and weights stay in float32, and so do the validation figures that are kept, "
        "unless 'score' may compute in bf16, too.",
        choices=("float32", "bf16", "auto"),
    )

    def __post_init__(self) -> None:
        """Check the values, and that the warm-up leaves steps for what follows it."""
        super().__post_init__()
        if self.warmup >= self.epochs:
            raise OptionError(
                "a warm-up of {warmup_epochs:g} epochs is no shorter than the training of "
                "{all_epochs}. Use a smaller {warmup} or more {epochs}.",
                warmup_epochs=self.warmup,
                all_epochs=self.epochs,
            )


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig(Group):
    """What may be done to a training image."""

    title: ClassVar[str] = "Augmentation"

    crop_scale: float = option(
        1.0,
        help="With {tune} all: train on random crops, of at least this share of an image's area, "
        "resized to {size}; 1: on whole images. 0.35 is usual with pretrained weights.",
        metavar="SHARE",
        above=0,
        maximum=1,
    )
    flip: float = option(
        0.0,
        help="With {tune} all: mirror training images left to right with this probability. 0.5 "
        "suits what has no left and right, as most photographs.",
        metavar="PROBABILITY",
        minimum=0,
        maximum=1,
    )
    jitter: float = option(
        0.0,
        help="With {tune} all: change brightness, contrast and saturation of training images, each "
        "by up to this: 0.2 is from 80% to 120%.",
        metavar="STRENGTH",
        minimum=0,
        maximum=1,
    )

    @property
    def crops(self) -> bool:
        """Whether images are cropped at all."""
        return self.crop_scale < 1


@dataclass(frozen=True, kw_only=True)
class LossConfig(Group):
    """What a wrong probability costs."""

    title: ClassVar[str] = "Loss"

    loss: str = option(
        "bce",
        help="Binary cross-entropy, or asymmetric loss (Ridnik et al. 2021), which hardly counts "
        "the many easy absences.",
        choices=("bce", "asl"),
    )
    class_weight: float = option(
        1.0,
        help="A positive of a rare class weighs as much as there are negatives per positive in the "
        "training split, at most this; 1: all weigh the same.",
        metavar="LIMIT",
        minimum=1,
    )
    gamma_positive: float = option(1.0, help="ASL: larger counts easy positives less.", minimum=0)
    gamma_negative: float = option(4.0, help="ASL: larger counts easy negatives less.", minimum=0)
    margin: float = option(
        0.05, help="ASL: negatives below this probability cost nothing at all.", minimum=0, below=1
    )


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig(Group):
    """Which epoch's network becomes the checkpoint, and what is fitted to it afterwards."""

    title: ClassVar[str] = "Checkpoint"

    keep: str = option(
        "last",
        help="Which epoch's network is the checkpoint: the last, or the one with the best "
        "validation mAP (which then flatters: it was chosen by it).",
        choices=("last", "best"),
    )
    patience: int | None = option(
        None,
        help="Stop after so many epochs without a better validation mAP.",
        metavar="EPOCHS",
        unset="never",
        minimum=1,
    )
    thresholds: str = option(
        "fixed",
        help="One threshold per class, fitted on the validation split and kept in the checkpoint: "
        "those with the best F1, or the lowest with that precision. fixed: {threshold} for all.",
        metavar="fixed|f1|precision=P",
    )
    calibrate: bool = option(
        False,
        help="Fit a temperature on the validation split, so that of the images with probability "
        "0.8 about 80% show the class; kept in the checkpoint.",
        flag="--calibrate/--no-calibrate",
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides what a training comes to, but the images and the machine.

    Raises:
        OptionError: two options contradict each other.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimization: OptimizationConfig = field(default_factory=OptimizationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        """Refuse to augment what passes the backbone once: docs/training.md says why."""
        if self.optimization.tune == "head" and self.augmentation != AugmentationConfig():
            raise OptionError(
                "{crop_scale}, {flip} and {jitter} need {tune} all: with {tune} head each image "
                "passes through the backbone once, unchanged."
            )


@dataclass(frozen=True, kw_only=True)
class RunConfig(Group):
    """What is done with the run's folder."""

    title: ClassVar[str] = "Output"

    resume: bool = option(
        False,
        help="Continue an interrupted run in RUN after its last finished epoch, with the same "
        "settings and the same result; start a new run if there is none.",
    )
    overwrite: bool = option(False, help="Replace a run that is already in RUN.")
    tensorboard: bool = option(
        False,
        help="Write every epoch's figures and the learning rate to RUN/tensorboard, to be viewed "
        "during training: tensorboard --logdir RUN. Needs pip install 'vocscore[tensorboard]'.",
    )

    def __post_init__(self) -> None:
        """Check the values, and refuse two that contradict each other."""
        super().__post_init__()
        if self.resume and self.overwrite:
            raise OptionError("{resume} keeps what {overwrite} removes: give one of them.")
