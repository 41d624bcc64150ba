"""What the tests of training share: small sets of shards, and a training made small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from shards.classes import VOC_CLASSES, choose_classes
from shards.packing.pack import pack
from vocscore.config.compute import MAX_PIXELS, ComputeConfig
from vocscore.config.groups import build, names_of
from vocscore.config.packing import ImagesConfig
from vocscore.config.training import TrainConfig
from vocscore.training.train import TrainReport, train

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shards.sample import AnnotatedSet, Sample

Kind = TypeVar("Kind")

FAST = {
    "backbone": "tiny_dropout",
    "weights": "none",
    "size": 64,
    "epochs": 2,
    "loader": "host",
    "device": "cpu",
    "workers": 2,
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
        max_pixels=MAX_PIXELS,
        resize=None,
        quality=ImagesConfig.quality,
        workers=1,
        overwrite=False,
        settings={},
    )
    return out


def fit(shards: Path, out: Path, **changes: Any) -> TrainReport:
    """Train with the defaults, made small; what is no option goes to `train` itself."""
    settings = {**FAST, **changes}
    config, compute = build(TrainConfig, settings), build(ComputeConfig, settings)
    known = names_of(TrainConfig, ComputeConfig)
    rest = {name: value for name, value in settings.items() if name not in known}
    return train(shards, out, config, compute, **rest)
