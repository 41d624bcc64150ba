"""The checkpoint of a model in ONNX: `model.onnx` and the card that says how to use it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from shards import atomic
from vocscore.models.card import CARD_FILE, ONNX_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.models.card import ModelCard


def save_onnx_checkpoint(folder: Path, data: bytes, card: ModelCard) -> None:
    """Write a checkpoint; the card last, with the hash of the model.

    Args:
        folder: made if it is not there.
        data: the bytes of the ONNX file; no weights in other files.
        card: of the backbone 'onnx'.

    Raises:
        OSError: the folder cannot be written.
    """
    written = {
        "format": card.format,
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        **card.to_json(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write(folder / ONNX_FILE, data)
    text = json.dumps(written, indent=2, ensure_ascii=False) + "\n"
    atomic.write(folder / CARD_FILE, text.encode())
