"""The training data of a run, from its `config.json`; also kept beside predictions."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from shards.files import read_regular
from vocscore.config.optimization import converges
from vocscore.records.images import paths_hash

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from shards.manifest import Manifest

CONFIG: Final = "config.json"
PACKED: Final = "packed"
"""The key in `config.json` for facts about the dataset that are not settings."""


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """What a run was trained and validated on.

    Attributes:
        shards: the path of the packed dataset; absolute, except for runs of older versions.
        shards_sha256: of its `dataset.json`.
        train_splits: trained on.
        val_splits: validated on.
        chosen: what the validation split chose, as `chosen_on_validation`.
        listing: `Manifest.listing` of the dataset: equal datasets packed with other shard sizes
            have the same. None for runs of older versions, like the fields below.
        encoding: how packing re-encoded the images, as `encoding_of`.
        train_images: how many were trained on.
        train_images_sha256: `paths_hash` of them.
    """

    shards: str
    shards_sha256: str
    train_splits: tuple[str, ...]
    val_splits: tuple[str, ...]
    chosen: tuple[str, ...]
    listing: str | None = None
    encoding: str | None = None
    train_images: int | None = None
    train_images_sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrainedOn:
        """The inverse of `to_json`; unknown keys are ignored.

        Raises:
            KeyError, TypeError: a field is missing or of another kind.
        """
        known = {name: value.get(name) for name in ("listing", "encoding", "train_images_sha256")}
        return cls(
            shards=_text(value["shards"]),
            shards_sha256=_text(value["shards_sha256"]),
            train_splits=tuple(map(_text, value["train_splits"])),
            val_splits=tuple(map(_text, value["val_splits"])),
            chosen=tuple(map(_text, value["chosen"])),
            train_images=value.get("train_images"),
            **{name: None if text is None else _text(text) for name, text in known.items()},
        )


def packed_facts(shards: Path, manifest: Manifest, train: Collection[str]) -> dict[str, Any]:
    """The facts about the dataset that a run's `config.json` keeps under `PACKED`.

    Args:
        shards: the dataset's folder.
        manifest: of the dataset.
        train: original paths of the training images.
    """
    return {
        "path": str(shards.absolute()),
        "listing": manifest.listing,
        "encoding": encoding_of(manifest),
        "train_images": len(train),
        "train_images_sha256": paths_hash(train),
    }


def encoding_of(manifest: Manifest) -> str:
    """How packing has encoded the images: 'original', size and quality, or the form of raw ones.

    The hashes of two datasets are comparable only if this is equal.
    """
    if manifest.raw is not None:
        return f"raw, {manifest.raw}"
    resize = manifest.config.get("resize")
    return "original" if resize is None else f"{resize}, quality {manifest.config.get('quality')}"


def read_trained_on(run: Path) -> TrainedOn | None:
    """Read what a run was trained on; None if it does not say.

    Args:
        run: the folder of a trained network.
    """
    try:
        config = json.loads(read_regular(run / CONFIG))
        return _from_config(config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _from_config(config: Mapping[str, Any]) -> TrainedOn:
    packed = config.get(PACKED, {})
    return TrainedOn(
        shards=_text(packed.get("path", config["shards"])),
        shards_sha256=_text(config["shards_sha256"]),
        train_splits=split_names(config["train_split"]),
        val_splits=split_names(config.get("val_split", "val")),
        chosen=chosen_on_validation(config),
        listing=packed.get("listing"),
        encoding=packed.get("encoding"),
        train_images=packed.get("train_images"),
        train_images_sha256=packed.get("train_images_sha256"),
    )


def chosen_on_validation(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """What the validation split chose: some of 'epoch', 'lambda', 'thresholds', 'temperature'.

    Metrics on that split are then too optimistic, though nothing was trained on it.

    Args:
        settings: of a training, as in `config.json`; older versions had fewer.
    """
    by_epochs = settings.get("keep") == "best" or settings.get("patience") is not None
    said = {
        "epoch": by_epochs and not _in_one_pass(settings),
        "lambda": settings.get("head") == "csra" and settings.get("csra_lambda") is None,
        "thresholds": settings.get("thresholds", "fixed") != "fixed",
        "temperature": bool(settings.get("calibrate")),
    }
    return tuple(name for name, chosen in said.items() if chosen)


def _in_one_pass(settings: Mapping[str, Any]) -> bool:
    """`TrainConfig.converges`, of the settings on disk."""
    usual = {"solver": "sgd", "tune": "head", "head": "linear", "loss": "bce"}
    return converges(**{name: settings.get(name, value) for name, value in usual.items()})


def split_names(text: str) -> tuple[str, ...]:
    """Split 'train,val' into names."""
    return tuple(name.strip() for name in text.split(","))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
