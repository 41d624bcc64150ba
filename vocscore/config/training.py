"""The options of `vocscore train`; the defaults are those of the original experiment.

A recipe may set every field of `TrainConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from vocscore.config.compute import max_pixels_option
from vocscore.config.model import ModelConfig
from vocscore.config.optimization import OptimizationConfig, converges
from vocscore.config.option import Group, option
from vocscore.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class DataConfig(Group):
    """The images and the meaning of their labels."""

    title: ClassVar[str] = "Data"

    train_split: str = option("train", help="Splits to train on.", metavar="NAME[,NAME]")
    val_split: str = option("val", help="Splits to validate on.", metavar="NAME[,NAME]")
    max_pixels: int = max_pixels_option("is refused before it is decoded")
    difficult: str = option(
        "ignore",
        help="How to treat a class if all its instances in an image are marked 'difficult': left "
        "out of the loss and of every figure (as in the VOC devkit), present, or absent.",
        choices=("ignore", "positive", "negative"),
    )
    seed: int = option(0, help="Seed of the new head, the order of images and augmentation.")


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig(Group):
    """Random changes of training images."""

    title: ClassVar[str] = "Augmentation"

    crop_scale: float = option(
        1.0,
        help="With {tune} all: train on random crops of at least this share of the image area, "
        "resized to {size}; 1: whole images. 0.35 is usual with pretrained weights.",
        metavar="SHARE",
        above=0,
        maximum=1,
    )
    flip: float = option(
        0.0,
        help="With {tune} all: probability of a horizontal flip of a training image. 0.5 is suited "
        "to images without a fixed left and right, such as most photographs.",
        metavar="PROBABILITY",
        minimum=0,
        maximum=1,
    )
    jitter: float = option(
        0.0,
        help="With {tune} all: change brightness, contrast and saturation of training images "
        "randomly, each by up to this share: 0.2 is from 80% to 120%.",
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
    """The training loss."""

    title: ClassVar[str] = "Loss"

    loss: str = option(
        "bce",
        help="Binary cross-entropy, or asymmetric loss (Ridnik et al. 2021), which gives little "
        "weight to the many easy negatives.",
        choices=("bce", "asl"),
    )
    class_weight: float = option(
        1.0,
        help="Weight positives of a class by its negatives per positive in the training split, up "
        "to this limit; 1: equal weights.",
        metavar="LIMIT",
        minimum=1,
    )
    gamma_positive: float = option(
        1.0, help="ASL: a larger value gives easy positives less weight.", minimum=0
    )
    gamma_negative: float = option(
        4.0, help="ASL: a larger value gives easy negatives less weight.", minimum=0
    )
    margin: float = option(
        0.05, help="ASL: negatives below this probability have no loss.", minimum=0, below=1
    )


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig(Group):
    """Which epoch becomes the checkpoint, and what is fitted afterwards."""

    title: ClassVar[str] = "Checkpoint"

    keep: str = option(
        "last",
        help="Epoch of the checkpoint: the last, or the one with the best validation mAP (which is "
        "then too optimistic, because it was used for the choice).",
        choices=("last", "best"),
    )
    patience: int | None = option(
        None,
        help="Stop after this many epochs without a better validation mAP.",
        metavar="EPOCHS",
        unset="never",
        minimum=1,
    )
    thresholds: str = option(
        "fixed",
        help="One threshold per class, fitted on the validation split and stored in the "
        "checkpoint: with the best F1, or the lowest with precision P. fixed: {threshold} for all.",
        metavar="fixed|f1|precision=P",
    )
    calibrate: bool = option(
        False,
        help="Fit a temperature on the validation split, so that about 80% of the images with "
        "probability 0.8 show the class; stored in the checkpoint.",
        flag="--calibrate/--no-calibrate",
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that determines the result of a training, except the images and the machine.

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
        """Refuse what contradicts frozen features; see docs/training.md."""
        if self.optimization.tune == "all" and self.model.head != "linear":
            raise OptionError(
                f"`head={self.model.head!r}` needs `tune='head'`: it is trained on features of a "
                "frozen backbone."
            )
        if self.optimization.tune == "head" and self.augmentation != AugmentationConfig():
            raise OptionError(
                "`crop_scale`, `flip` and `jitter` need `tune='all'`: with `tune='head'` each "
                "image passes through the backbone once, unchanged."
            )
        if self.optimization.solver == "lbfgs" and self.optimization.tune == "all":
            raise OptionError(
                "`solver='lbfgs'` needs `tune='head'`: a whole network is no convex problem. Use "
                "`solver='sgd'`."
            )
        if self.optimization.solver == "lbfgs" and self.loss.loss != "bce":
            raise OptionError(
                f"`solver='lbfgs'` needs `loss='bce'`: `loss={self.loss.loss!r}` is not convex. "
                "Use `solver='sgd'`."
            )
        if self.optimization.solver == "lbfgs" and self.model.head != "linear":
            raise OptionError(
                f"`solver='lbfgs'` needs `head='linear'`; for `head={self.model.head!r}` use "
                "`solver='sgd'`."
            )
        if self.optimization.l2 is not None and not self.converges:
            raise OptionError("`l2` needs `solver='lbfgs'`; `solver='sgd'` has `weight_decay`.")

    @property
    def converges(self) -> bool:
        """Whether the head is solved to convergence, in one pass, instead of trained in steps."""
        own = self.optimization
        return converges(own.solver, tune=own.tune, head=self.model.head, loss=self.loss.loss)

    @property
    def passes(self) -> int:
        """The largest number of epochs."""
        return 1 if self.converges else self.optimization.epochs


@dataclass(frozen=True, kw_only=True)
class RunConfig(Group):
    """Options of the run's folder."""

    title: ClassVar[str] = "Output"

    folds: int | None = option(
        None,
        help="Also write RUN/out_of_fold.csv: predictions for every image of training and "
        "validation by a head that was not trained on it, for finding wrong labels with "
        "{suspects} of 'vocscore eval'. The images are divided into this many folds, and as many "
        "further heads are trained on the same features. Needs {tune} head.",
        metavar="K",
        unset="none",
        minimum=2,
    )
    resume: bool = option(
        False,
        help="Resume an interrupted run in RUN after its last finished epoch, with the same "
        "settings and the same result; start a new run if there is none.",
    )
    overwrite: bool = option(False, help="Replace an existing run in RUN.")
    quantize: bool = option(
        False,
        help="At the end, also make the 8-bit model that 'score' takes on a CPU where it is faster "
        "and close enough, as 'vocscore quantize RUN' does. If it is not close enough, there is "
        "none, and a warning. Needs pip install 'vocscore[int8]'.",
    )
    tensorboard: bool = option(
        False,
        help="Write the figures and the learning rate of every epoch to RUN/tensorboard; view them "
        "with: tensorboard --logdir RUN. Needs pip install 'vocscore[tensorboard]'.",
    )

    def __post_init__(self) -> None:
        """Check the values, and refuse two that contradict each other."""
        super().__post_init__()
        if self.resume and self.overwrite:
            raise OptionError("`resume` keeps what `overwrite` removes: give only one of them.")
