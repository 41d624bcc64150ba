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
    """'voc': the lists in ImageSets/Main; 'ratio': by `train_fraction`; 'auto': voc where the
    lists exist, else ratio."""
    train_fraction: float = 0.7
    seed: int = 0
    shard_samples: int = 1000
    """Pictures a shard."""
    verify: bool = True
    max_bad: float = 0.01
    """Fraction of pictures that may be rejected before packing fails."""
    max_pixels: int = 200_000_000
    """Pixels of one picture, width times height; more is taken for a decompression bomb."""
    resize: int | None = None
    """Pixels a side to re-encode to; None keeps the original bytes."""
    quality: int = 95
    """JPEG quality of the re-encoding."""


@dataclass(frozen=True)
class TrainConfig:
    """`vocscore train`; the values are those of the experiment the project comes from."""

    backbone: str = "resnet18"
    weights: str = "imagenet"
    """'imagenet', 'none', or a file."""
    tune: str = "head"
    """'head': the backbone stays frozen; 'all': every parameter is trained."""
    epochs: int = 10
    batch_size: int = 20
    learning_rate: float = 0.01
    momentum: float = 0.9
    threshold: float = 0.5
    size: int = 256
    seed: int = 0
    train_split: str = "train"
    val_split: str = "val"
    max_pixels: int = 200_000_000


@dataclass(frozen=True)
class ScoreConfig:
    """`vocscore score`."""

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
class DemoConfig:
    """`vocscore demo`: small pictures, no pretrained weights, a few minutes on two cores."""

    pictures: int = 1200
    epochs: int = 10
    backbone: str = "resnet18"
    size: int = 64
    learning_rate: float = 0.08
    """Higher than the experiment's: the network starts from nothing and sees few pictures."""


@dataclass(frozen=True)
class EvalConfig:
    """`vocscore eval`."""

    threshold: float = 0.5
