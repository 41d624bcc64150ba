"""The settings of each command: the only home of defaults.

The command line reads its defaults from these classes, builds one of them, and hands plain
arguments to the functions below. Nothing below the command line sees a whole config.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PackConfig:
    """`vocscore pack`."""

    split: str = "auto"
    """'voc': the set's own splits, such as the lists in ImageSets/Main; 'ratio': by
    `train_fraction`; 'auto': voc where there are own splits, else ratio."""
    train_fraction: float = 0.7
    seed: int = 0
    shard_samples: int = 1000
    """Images a shard."""
    verify: bool = True
    max_bad: float = 0.01
    """Fraction of images that may be rejected before packing fails."""
    max_pixels: int = 200_000_000
    """Pixels of one image, width times height; more is taken for a decompression bomb."""
    resize: int | None = None
    """Pixels a side to re-encode to; None keeps the original bytes."""
    quality: int = 95
    """JPEG quality of the re-encoding."""
    label_separator: str | None = None
    """What stands between the class names in a cell of a table; None finds out."""
    merge_case: bool = False
    """Whether class names that differ only in case are one class."""
    rename: tuple[tuple[str, str], ...] = ()
    """Class names as the source has them, and what they are to be called."""


@dataclass(frozen=True)
class TrainConfig:
    """`vocscore train`; the values are those of the experiment the project comes from."""

    backbone: str = "resnet18"
    weights: str = "imagenet"
    """'imagenet', 'none', or a file."""
    size: int = 256
    threshold: float = 0.5

    tune: str = "head"
    """'head': the backbone stays frozen; 'all': every parameter is trained."""
    epochs: int = 10
    batch_size: int = 20
    optimizer: str = "sgd"
    """'sgd' or 'adamw'."""
    learning_rate: float = 0.01
    backbone_rate: float = 1.0
    """The backbone's learning rate, as a multiple of the head's."""
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "constant"
    """'constant', 'cosine' or 'onecycle'."""
    warmup: float = 0.0
    """Epochs."""
    clip: float = 0.0
    """Largest norm of a gradient; 0 is none."""
    ema: float = 0.0
    """Decay a step of the average of the weights; 0 is no average."""
    standardize: bool = False
    """Whether a head is trained on centered features of one scale, from the log odds of classes."""
    precision: str = "float32"
    """'float32', 'bf16', or 'auto': bf16 where the device has it."""

    crop_scale: float = 1.0
    """Smallest share of a training image's area that is cropped; 1 is no crop."""
    flip: float = 0.0
    """Probability of mirroring a training image."""
    jitter: float = 0.0
    """Largest change of brightness, contrast and saturation; 0 is none."""

    loss: str = "bce"
    """'bce' or 'asl'."""
    class_weight: float = 1.0
    """Largest weight of a positive, against the rareness of its class; 1 is none."""
    gamma_positive: float = 1.0
    """ASL's focusing of positives; this and the next two as in its authors' code."""
    gamma_negative: float = 4.0
    margin: float = 0.05

    keep: str = "last"
    """'last', or 'best' by validation mAP."""
    patience: int | None = None
    """Epochs without a better validation mAP before training stops; None never stops."""
    thresholds: str = "fixed"
    """'fixed', 'f1' or 'precision=P', fitted on the validation split."""
    calibrate: bool = False

    seed: int = 0
    train_split: str = "train"
    val_split: str = "val"
    max_pixels: int = 200_000_000
    difficult: str = "ignore"
    """'ignore', 'positive' or 'negative'."""


@dataclass(frozen=True)
class ScoreConfig:
    """`vocscore score`."""

    precision: str = "auto"
    """The network's arithmetic: 'float32', 'bf16', 'int8', or 'auto', the fastest faithful one."""
    batch_size: int = 64
    unit_size: int = 2048
    """Files of a folder that are scored and committed together."""
    max_pixels: int = 200_000_000
    devices: tuple[str, ...] = ()
    """GPU numbers or 'cpu', each worked on by a process of its own; () is one process."""
    columns: str = "all"
    """'all', 'probabilities' (no labels), or 'labels' (no probabilities)."""
    top_k: int | None = None
    """The largest probabilities that are written; None writes all."""
    min_probability: float = 0.0
    """Smaller probabilities are not written."""
    include: tuple[str, ...] = ()
    """Patterns of which the path of an input has to match one; () lets all in."""
    exclude: tuple[str, ...] = ()
    """Patterns of which the path of an input may match none."""
    max_bad: float | None = None
    """Fraction of the inputs that may be bad before scoring stops; None never stops."""
    ceilings_after: float = 20.0
    """Seconds of a run from which on its ceilings are measured at its end."""


@dataclass(frozen=True)
class QuantizeConfig:
    """`vocscore quantize`."""

    split: str | None = None
    """None: the one that the run was validated on."""
    calibration_images: int = 256
    """That the ranges of 8 bits are taken from."""
    max_map_drop: float = 0.005
    """Of the mean average precision, by which int8 may be worse than float32."""
    max_changed: float = 0.01
    """Share of the decisions at the thresholds that may be others than float32's."""
    max_pixels: int = 200_000_000


@dataclass(frozen=True)
class ExportConfig:
    """`vocscore export`."""

    split: str | None = None
    """Whose images the new model is checked on; None: that of the run's validation."""
    check_images: int = 64
    max_pixels: int = 200_000_000


@dataclass(frozen=True)
class DemoConfig:
    """`vocscore demo`: small images, no pretrained weights, a few minutes on two cores."""

    images: int = 1200
    epochs: int = 10
    backbone: str = "resnet18"
    size: int = 64
    learning_rate: float = 0.08
    """Higher than the experiment's: the network starts from nothing and sees few images."""


@dataclass(frozen=True)
class EvalConfig:
    """`vocscore eval`."""

    threshold: float | None = None
    """None: what the predictions have as labels counts as predicted."""
    difficult: str = "ignore"
    """What a class of which an image shows only 'difficult' instances is: 'ignore' (weighs
    nothing), 'positive' or 'negative'."""
    resamples: int = 1000
    """Of the bootstrap intervals; 0 makes none."""
    seed: int = 0
    """Of the resamples."""
