"""Options of the optimizer, the schedule and the solver of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vocscore.config.option import Group, option
from vocscore.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class OptimizationConfig(Group):
    """Which parameters are trained, and how."""

    title: ClassVar[str] = "Optimization"

    tune: str = option(
        "head",
        help="head: linear probe; the backbone is frozen and its features are computed once. all: "
        "fine-tune every parameter.",
        choices=("head", "all"),
    )
    solver: str = option(
        "sgd",
        help="sgd: {epochs} of {optimizer} steps. lbfgs: with {tune} head, solve L2-regularized "
        "logistic regression to convergence, so that epochs, batches and learning rates do not "
        "matter. auto: lbfgs where the problem is convex: with {tune} head, {head} linear and "
        "{loss} bce; else sgd.",
        choices=("sgd", "lbfgs", "auto"),
    )
    l2: float | None = option(
        None,
        help="With {solver} lbfgs: strength of the penalty l2 / 2 |w|^2 beside the sum of the "
        "losses, on standardized features (scikit-learn's 1 / C).",
        metavar="STRENGTH",
        unset="chosen by cross-validation on the training split",
        minimum=1e-3,
        maximum=1e9,
    )
    epochs: int = option(10, help="Passes over the training images, at most.", minimum=1)
    batch_size: int = option(20, help="Images per step.", metavar="IMAGES", minimum=1)
    optimizer: str = option(
        "sgd",
        help="AdamW needs a learning rate about 30 times smaller than SGD.",
        choices=("sgd", "adamw"),
    )
    learning_rate: float = option(
        0.01, help="Learning rate of the head, and with {tune} all of the backbone.", above=0
    )
    backbone_rate: float = option(
        1.0,
        help="With {tune} all: factor of the backbone's learning rate relative to the head's. 0.1 "
        "preserves pretrained filters.",
        metavar="FACTOR",
        above=0,
    )
    momentum: float = option(
        0.9, help="Momentum of SGD, or the first beta of AdamW.", minimum=0, below=1
    )
    weight_decay: float = option(
        0.0,
        help="Weight decay; not applied to biases and normalization layers.",
        minimum=0,
    )
    schedule: str = option(
        "constant",
        help="Learning rate schedule, per step: constant, cosine decay to zero, or one-cycle: it "
        "rises for 30% of the steps, then falls.",
        choices=("constant", "cosine", "onecycle"),
    )
    warmup: float = option(
        0.0,
        help="Epochs at the start during which the learning rate rises.",
        metavar="EPOCHS",
        minimum=0,
    )
    clip: float = option(
        0.0,
        help="Clip gradients to this norm; 0: no clipping.",
        metavar="NORM",
        minimum=0,
    )
    ema: float = option(
        0.0,
        help="Keep an exponential moving average of the weights with this decay per step, and "
        "validate and save it: 0.99 averages about 100 steps; 0: none.",
        metavar="DECAY",
        minimum=0,
        below=1,
    )
    standardize: bool = option(
        False,
        help="With {tune} head: train on standardized features (zero mean, a common scale), with "
        "biases initialized from class frequencies. The checkpoint needs no extra step.",
        flag="--standardize/--no-standardize",
    )
    precision: str = option(
        "float32",
        help="Arithmetic of a frozen backbone, or with {tune} all of the training steps; auto: "
        "bf16 if the device supports it. Head and weights stay in float32, and so does validation, "
        "unless 'score' may compute in bf16, too.",
        choices=("float32", "bf16", "auto"),
    )

    def __post_init__(self) -> None:
        """Check the values, and that the warm-up is shorter than the training."""
        super().__post_init__()
        if self.warmup >= self.epochs:
            raise OptionError(
                f"a warm-up of {self.warmup:g} epochs is not shorter than the training of "
                f"{self.epochs}. Use a smaller `warmup` or more `epochs`."
            )


def converges(solver: str, *, tune: str, head: str, loss: str) -> bool:
    """Whether these options make a convex problem that is solved to convergence, in one pass."""
    return solver != "sgd" and (tune, head, loss) == ("head", "linear", "bce")
