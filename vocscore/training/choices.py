"""What a training is asked to do, in four small groups; the fields are the options' names."""

from __future__ import annotations

from dataclasses import dataclass

from vocscore.errors import TrainError


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChoice:
    """Which network.

    Attributes:
        backbone: the name of a torchvision classification model.
        weights: 'imagenet', 'none' or a file; see `vocscore.models.network.build_network`.
        size: height and width of the images, pixels; kept in the checkpoint.
        threshold: a class counts as predicted from this probability on; kept in the checkpoint.
    """

    backbone: str
    weights: str
    size: int
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChoice:
    """Which images, and what their labels mean.

    Attributes:
        train_split: name, or names joined by commas.
        val_split: likewise.
        max_pixels: a larger image is refused before it is decoded.
        difficult: 'ignore', 'positive' or 'negative'; see `apply_difficult`.
    """

    train_split: str
    val_split: str
    max_pixels: int
    difficult: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """What is trained, in which steps.

    Attributes:
        tune: 'head' trains the head on features of the frozen backbone, which are computed once;
            'all' trains every parameter.
        epochs: passes over the training split, at least 1.
        batch_size: images a step; a last batch of one joins the one before it.
        optimizer: 'sgd' or 'adamw'.
        learning_rate: of the head, and of the backbone before `backbone_rate`; above 0.
        backbone_rate: the backbone's learning rate as a multiple of the head's; above 0.
        momentum: of SGD, or the first beta of AdamW; 0 up to, not including, 1.
        weight_decay: of matrices and filters; biases and normalizations have none.
        schedule: of the learning rate: 'constant', 'cosine' or 'onecycle'.
        warmup: epochs over which the learning rate rises at the start; 0 is no warm-up.
        clip: the largest norm of the gradient of a step; 0 leaves gradients as they are.
        ema: decay a step of the moving average of the weights; 0 keeps no average.
        standardize: train the head on centered features of one scale, from biases at the log odds
            of the classes (`feature_scaling.py`).
        precision: of a frozen backbone, or of a whole network's steps: 'float32', 'bf16', 'auto'.
    """

    tune: str
    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    backbone_rate: float
    momentum: float
    weight_decay: float
    schedule: str
    warmup: float
    clip: float
    ema: float
    standardize: bool
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LossChoice:
    """What a wrong probability costs; see `losses.py`.

    Attributes:
        loss: 'bce' or 'asl'.
        class_weight: a positive weighs as much as its class has negatives a positive in the
            training split, at most this; 1 weighs all alike.
        gamma_positive: ASL's focusing of positives.
        gamma_negative: ASL's focusing of negatives.
        margin: negatives with a probability below it cost nothing in ASL.
    """

    loss: str
    class_weight: float
    gamma_positive: float
    gamma_negative: float
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Which epoch's network becomes the checkpoint, and what is fitted to it afterwards.

    Attributes:
        keep: 'last', or 'best' by validation mAP.
        patience: epochs without a better validation mAP before training stops; None never stops.
        thresholds: 'fixed', 'f1' or 'precision=P'; see `fit_decisions`.
        calibrate: fit a temperature.
    """

    keep: str
    patience: int | None
    thresholds: str
    calibrate: bool


def check_warmup(choice: Optimization) -> None:
    """Refuse a warm-up that leaves no step for what follows.

    Raises:
        TrainError: it is as long as the training.
    """
    if choice.warmup >= choice.epochs:
        raise TrainError(
            f"a warm-up of {choice.warmup:g} epochs is no shorter than the training of "
            f"{choice.epochs}. Use a smaller --warmup or more --epochs."
        )
