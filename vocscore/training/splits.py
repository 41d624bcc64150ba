"""Loads and checks the training and validation splits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from shards.errors import SourceError
from shards.reader import LabeledImages, load_split
from vocscore.errors import TrainError
from vocscore.evaluation.difficult import apply_difficult
from vocscore.records.images import UsedImages

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.config.model import ModelConfig
    from vocscore.config.training import CheckpointConfig, DataConfig


@dataclass(frozen=True, slots=True)
class Splits:
    """The training and the validation split."""

    train: LabeledImages
    val: LabeledImages


def load_splits(shards: Path, choice: DataConfig) -> Splits:
    """Load both splits and apply the rule for 'difficult' labels.

    Raises:
        TrainError: a split is missing or named twice, or the training split has no usable label.
        DamageError: the shards are incomplete or damaged.
    """
    _check_names(choice)
    train, val = (
        _load(shards, split, difficult=choice.difficult)
        for split in (choice.train_split, choice.val_split)
    )
    if not (train.labels >= 0).any():
        raise TrainError(
            f"split '{choice.train_split}': every label is 'difficult', so there is nothing to "
            f"learn from. Choose other images, or `difficult='positive'`."
        )
    return Splits(train, val)


def check_best(splits: Splits, keeping: CheckpointConfig) -> None:
    """Refuse to choose the best epoch by mAP if validation has no mAP.

    Raises:
        TrainError: the validation split has no positive label.
    """
    if (keeping.keep == "best" or keeping.patience) and not (splits.val.labels == 1).any():
        raise TrainError(
            "the validation split has no positive label, so there is no mAP to choose the best "
            "epoch. Use `keep='last'` without `patience`, or another `val_split`."
        )


def check_lambda(splits: Splits, model: ModelConfig) -> None:
    """Refuse to choose CSRA's lambda by mAP if validation has no mAP.

    Raises:
        TrainError: the validation split has no positive label.
    """
    chosen = model.head == "csra" and model.csra_lambda is None
    if chosen and not (splits.val.labels == 1).any():
        raise TrainError(
            "the validation split has no positive label, so there is no mAP to choose the lambda "
            "of `head='csra'`. Give `csra_lambda`, or another `val_split`."
        )


def without_positives(split: LabeledImages) -> list[int]:
    """The columns of the classes without a positive in a split."""
    return [int(c) for c in np.flatnonzero(~(split.labels == 1).any(0))]


def used_images(splits: Splits) -> UsedImages:
    """The paths and hashes of the images in use, for the run's record."""
    train, val = (
        dict(zip((p.name for p in split.images), split.sha256, strict=True))
        for split in (splits.train, splits.val)
    )
    return UsedImages(train, val)


def _check_names(choice: DataConfig) -> None:
    """Refuse duplicate splits: no image may count twice or be in both training and validation."""
    names = [name.strip() for name in f"{choice.train_split},{choice.val_split}".split(",")]
    for name in names:
        if names.count(name) > 1:
            raise TrainError(
                f"split '{name}' is named twice (`train_split={choice.train_split!r}`, "
                f"`val_split={choice.val_split!r}`): metrics on training images do not predict "
                "those on others. Name it once."
            )


def _load(shards: Path, split: str, *, difficult: str) -> LabeledImages:
    try:
        found = load_split(shards, split)
    except SourceError as error:
        raise TrainError(f"{error} Choose with `train_split` and `val_split`.") from error
    return replace(found, labels=apply_difficult(found.labels, difficult))
