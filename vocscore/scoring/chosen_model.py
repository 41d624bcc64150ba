"""Reads the model that scores, and the thresholds for its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.config.tta import sizes_of
from vocscore.records.thresholds_file import read_thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vocscore.config.scoring import InferenceConfig
    from vocscore.models.card import ModelCard


def check_model(
    checkpoint: Path, compute: InferenceConfig, *, here: bool = True
) -> tuple[ModelCard, str]:
    """Check that a model can be used for scoring, before importing torch and listing inputs.

    Args:
        checkpoint: as for `score`.
        compute: the devices and the precision.
        here: whether this machine will run it.

    Returns:
        The model's card and its hash.

    Raises:
        CheckpointError: not a checkpoint, or int8 is requested and it has no int8 model.
        DeviceError, ScoreError: there is no such device, or it does not compute in int8.
        OptionError: the other size of the views is the model's own.
    """
    from vocscore.models.card_file import load_card
    from vocscore.models.checkpoint_files import hold, read_checkpoint
    from vocscore.runtime.int8 import check_kind, quantized
    from vocscore.scoring.engines.factory import check_devices

    load_card(checkpoint)  # before the weights, which may be large
    kinds = check_devices(compute.devices or (compute.device,))
    files = read_checkpoint(checkpoint)
    if compute.precision == "int8":
        for kind in kinds:
            check_kind(kind)
        quantized(checkpoint, identity=files.identity)
    sizes_of(compute.views, files.card.preprocess.size)
    if here and not compute.devices:  # workers read them in their own processes
        hold(files)
    return files.card, files.identity


def thresholds_of(card: ModelCard, file: Path | None) -> float | Sequence[float]:
    """The thresholds of the labels: the model's, or those of a file for the classes in it."""
    own = card.decision_threshold
    if file is None:
        return own
    given = read_thresholds(file, card.classes)
    every = [own] * len(card.classes) if isinstance(own, (int, float)) else own
    return [given.get(name, value) for name, value in zip(card.classes, every, strict=True)]
