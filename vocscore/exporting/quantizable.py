"""The checks before quantizing, done before torch is loaded."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from shards.manifest import read_manifest
from shards.reader import load_split
from vocscore.errors import CheckpointError, ExportError
from vocscore.models.card_file import load_card, read_card, weights_file_of

if TYPE_CHECKING:
    from pathlib import Path

    from shards.reader import LabeledImages


def load_measured(checkpoint: Path, shards: Path, *, split: str) -> LabeledImages:
    """Load the images for quantizing and measuring a checkpoint.

    Args:
        checkpoint: the folder of a trained network.
        shards: a packed dataset with the checkpoint's classes, in any order.
        split: as for `load_split`.

    Returns:
        The images, with labels in the order of the checkpoint's classes.

    Raises:
        CheckpointError: it is not a checkpoint, or NNCF is not installed.
        ExportError: the shards have other classes.
        SourceError: there is no such split.
        DamageError: the shards are incomplete or damaged.
    """
    card = load_card(checkpoint)
    weights = weights_file_of(read_card(checkpoint))
    if not (checkpoint / weights).is_file():
        raise CheckpointError(f"{checkpoint}: has no {weights}. Name a finished run.")
    classes = read_manifest(shards).classes
    if set(classes) != set(card.classes):
        raise ExportError(
            f"{shards}: the classes differ from the model's. Name the shards that it was trained "
            "on."
        )
    require_nncf()
    images = load_split(shards, split)
    columns = [classes.index(name) for name in card.classes]
    return replace(images, labels=images.labels[:, columns])


def require_nncf() -> None:
    """Check, without importing it, that NNCF is installed.

    Raises:
        CheckpointError: it is not.
    """
    if find_spec("nncf") is None:
        raise CheckpointError(
            "quantizing needs NNCF, which is not installed. pip install 'vocscore[int8]'."
        )
