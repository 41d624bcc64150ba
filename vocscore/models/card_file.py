"""Reads the card of a run's folder, and identifies its weights."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from shards.files import read_regular
from vocscore.errors import CheckpointError
from vocscore.models.onnx_signature import BACKBONE as ONNX

if TYPE_CHECKING:
    from pathlib import Path


from vocscore.models.card import (
    CARD_FILE,
    EXTENDED_FORMAT,
    FITTED_FORMAT,
    ONNX_FILE,
    PLAIN_FORMAT,
    WEIGHTS_FILE,
    ModelCard,
)


def load_card(folder: Path) -> ModelCard:
    """Read the card of a checkpoint without its weights.

    Raises:
        CheckpointError: the card is missing, damaged or of a newer format.
    """
    return to_card(read_card(folder), folder)


def checkpoint_hash(folder: Path) -> str:
    """Return the identity of a checkpoint: SHA-256 of both files, 64 hexadecimal digits.

    Raises:
        CheckpointError: a file is missing.
    """
    card = read_file(folder / CARD_FILE)
    return identity_of(card, read_file(folder / weights_file_of(parse_card(card, folder))))


def weights_file_of(written: dict[str, Any]) -> str:
    """Return the name of the file with the weights, from the output of `read_card`."""
    return ONNX_FILE if written.get("backbone") == ONNX else WEIGHTS_FILE


def identity_of(card: bytes, weights: bytes) -> str:
    """Compute the identity of a checkpoint from the bytes of its files; see `checkpoint_hash`."""
    digest = hashlib.sha256()
    for data in (card, weights):
        # The length marks the boundary between the two files.
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def read_file(file: Path) -> bytes:
    """Read a file of a checkpoint.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        return read_regular(file)
    except OSError as error:
        raise CheckpointError(
            f"{file}: {error.strerror}. {_instead(file.parent)}A model is a folder that 'vocscore "
            f"train' finished ({WEIGHTS_FILE} and {CARD_FILE})."
        ) from error


def _instead(folder: Path) -> str:
    """Return what a folder without a finished model is, if it is recognized."""
    if (folder / "resume.pt").exists():
        return (
            "The training there is not finished: continue it with 'vocscore train' and "
            "`resume=True`. "
        )
    if (folder / "dataset.json").exists():
        return "These are packed images, not a model. "
    return ""


def read_card(folder: Path) -> dict[str, Any]:
    """Read the JSON of the card.

    Raises:
        CheckpointError: it is missing, damaged or of a newer format.
    """
    return parse_card(read_file(folder / CARD_FILE), folder)


def parse_card(data: bytes, folder: Path) -> dict[str, Any]:
    """Parse the JSON of the card of the checkpoint in `folder`.

    Raises:
        CheckpointError: it is damaged or of a newer format.
    """
    try:
        written = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder / CARD_FILE}: not JSON ({error}).") from error
    found = written.get("format") if isinstance(written, dict) else None
    if found not in (PLAIN_FORMAT, FITTED_FORMAT, EXTENDED_FORMAT):
        raise CheckpointError(
            f"{folder / CARD_FILE}: format {found!r} is not supported (only {PLAIN_FORMAT} to "
            f"{EXTENDED_FORMAT} are). Use the version of vocscore that wrote it."
        )
    return dict(written)


def to_card(written: dict[str, Any], folder: Path) -> ModelCard:
    """Create the card from the output of `read_card`.

    Raises:
        CheckpointError: a value is missing or invalid.
    """
    try:
        return ModelCard.from_json(written)
    except (KeyError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CheckpointError(f"{folder / CARD_FILE}: not a model card ({what}).") from error
