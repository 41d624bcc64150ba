"""The two splits that a training takes, and what in them would break it."""

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

    from vocscore.training.choices import DataChoice, Keeping


@dataclass(frozen=True, slots=True)
class Splits:
    """What is trained on, and what is validated on."""

    train: LabeledImages
    val: LabeledImages


def load_splits(shards: Path, choice: DataChoice) -> Splits:
    """Find the images of both splits, and say what their 'difficult' labels are.

    Raises:
        TrainError: a split is missing or named twice, or no label is left to learn from.
        DamageError: the shards are unfinished or damaged.
    """
    _check_names(choice)
    train, val = (
        _load(shards, split, difficult=choice.difficult)
        for split in (choice.train_split, choice.val_split)
    )
    if not (train.labels >= 0).any():
        raise TrainError(
            f"split '{choice.train_split}': every label is 'difficult', and there is nothing to "
            f"learn from. Choose other images, or --difficult positive."
        )
    return Splits(train, val)


def check_best(splits: Splits, keeping: Keeping) -> None:
    """Refuse to look for the best epoch where there is no mAP to tell it by.

    Raises:
        TrainError: the validation split has no positive label.
    """
    if (keeping.keep == "best" or keeping.patience) and not (splits.val.labels == 1).any():
        raise TrainError(
            "the validation split has no positive label, hence no mAP to choose the best epoch by. "
            "Use --keep last without --patience, or another --val-split."
        )


def without_positives(split: LabeledImages) -> list[int]:
    """The columns of the classes that no image of a split shows."""
    return [int(c) for c in np.flatnonzero(~(split.labels == 1).any(0))]


def used_images(splits: Splits) -> UsedImages:
    """What a run keeps of the images that it sees: their paths and hashes."""
    train, val = (
        dict(zip((p.name for p in split.images), split.sha256, strict=True))
        for split in (splits.train, splits.val)
    )
    return UsedImages(train, val)


def _check_names(choice: DataChoice) -> None:
    """Refuse to count images twice, and to validate on images that were trained on."""
    names = [name.strip() for name in f"{choice.train_split},{choice.val_split}".split(",")]
    for name in names:
        if names.count(name) > 1:
            raise TrainError(
                f"split '{name}' is named twice (--train-split {choice.train_split}, --val-split "
                f"{choice.val_split}): figures on images that were trained on say nothing of "
                f"others. Name it once."
            )


def _load(shards: Path, split: str, *, difficult: str) -> LabeledImages:
    try:
        found = load_split(shards, split)
    except SourceError as error:
        raise TrainError(f"{error} Choose with --train-split and --val-split.") from error
    return replace(found, labels=apply_difficult(found.labels, difficult))
