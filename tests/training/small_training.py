"""What the tests of training share: small sets of shards, and a training made small."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from shards.classes import VOC_CLASSES, choose_classes
from shards.packing.pack import pack
from vocscore.config import PackConfig, TrainConfig
from vocscore.pipeline.augment import Augmentation
from vocscore.training.choices import (
    DataChoice,
    Keeping,
    LossChoice,
    NetworkChoice,
    Optimization,
)
from vocscore.training.train import TrainReport, train

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shards.sample import AnnotatedSet, Sample

FAST = {
    "backbone": "tiny_dropout",
    "weights": "none",
    "size": 64,
    "epochs": 2,
    "loader": "host",
    "device": "cpu",
    "threads": 2,
    "overwrite": False,
}
GROUPS = {
    "network": NetworkChoice,
    "data": DataChoice,
    "optimization": Optimization,
    "loss": LossChoice,
    "keeping": Keeping,
    "augmentation": Augmentation,
}


def pack_set(
    annotated: AnnotatedSet,
    splits: dict[str, Sequence[Sample]],
    out: Path,
    *,
    verify: bool = True,
    classes: tuple[str, ...] | None = None,
) -> Path:
    pack(
        annotated,
        splits,
        out,
        classes=classes or choose_classes(annotated.names(), None, known=VOC_CLASSES),
        shard_samples=20,
        verify=verify,
        max_bad=0.0,
        max_pixels=PackConfig.max_pixels,
        resize=None,
        quality=PackConfig.quality,
        workers=1,
        overwrite=False,
        settings={},
    )
    return out


def chosen(kind: type[Any], **changes: Any) -> Any:
    """One group of settings with the defaults."""
    settings = {**asdict(TrainConfig()), **changes}
    return kind(**{field.name: settings[field.name] for field in fields(kind)})


def fit(shards: Path, out: Path, **changes: Any) -> TrainReport:
    """Train with the defaults, made small."""
    settings = {**FAST, **changes}
    groups = {name: chosen(kind, **settings) for name, kind in GROUPS.items()}
    grouped = {field.name for kind in GROUPS.values() for field in fields(kind)}
    rest = {name: value for name, value in settings.items() if name not in grouped}
    return train(shards, out, **groups, **{"seed": TrainConfig.seed, **rest})
