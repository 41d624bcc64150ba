"""The checkpoint: a network's weights and the card that says how to use them.

`model.safetensors` holds tensors only and `model.json` plain values: reading them runs no code,
and needs no download. The card is written last and names the hash of the weights, so a checkpoint
is either whole or visibly not.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import TYPE_CHECKING

import safetensors
import safetensors.torch

from shards import atomic
from vocscore.errors import CheckpointError
from vocscore.models.card import (
    CARD_FILE,
    WEIGHTS_FILE,
    ModelCard,
    read_card,
    read_file,
    to_card,
)
from vocscore.models.network import Network, empty_network

if TYPE_CHECKING:
    from pathlib import Path


def save_checkpoint(folder: Path, network: Network, card: ModelCard) -> None:
    """Write a checkpoint; equal input gives equal bytes, wherever the network lies.

    Raises:
        ValueError: the card's classes are not as many as the logits.
        OSError: the folder cannot be written.
    """
    if network.head.out_features != len(card.classes):
        raise ValueError(f"{network.head.out_features} logits for {len(card.classes)} classes")
    # No metadata: safetensors writes it in no fixed order.
    weights = safetensors.torch.save(
        {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    )
    written = {
        "format": card.format,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        **card.to_json(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write(folder / WEIGHTS_FILE, weights)
    text = json.dumps(written, indent=2, ensure_ascii=False) + "\n"
    atomic.write(folder / CARD_FILE, text.encode())


def load_checkpoint(folder: Path) -> tuple[Network, ModelCard]:
    """Read a checkpoint without running code from it and without a download.

    Returns:
        The network on the CPU, in evaluation mode, and its card.

    Raises:
        CheckpointError: files are missing, damaged, of a newer format, or do not fit each other.
    """
    written = read_card(folder)
    card = to_card(written, folder)
    data = read_file(folder / WEIGHTS_FILE)
    if hashlib.sha256(data).hexdigest() != written.get("weights_sha256"):
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE}: not the weights that {CARD_FILE} was written with (the save "
            f"was interrupted or a file was replaced). Train again or copy both files anew."
        )
    network = empty_network(card.backbone, classes=len(card.classes))
    _fill(network, data, folder=folder, card=card)
    return network.eval(), card


def _fill(network: Network, data: bytes, *, folder: Path, card: ModelCard) -> None:
    """Copy the weights into the network; names and shapes must be the same."""
    try:
        tensors = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{folder / WEIGHTS_FILE}: not safetensors ({error}).") from error
    own = network.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        here = tuple(own[name].shape) if name in own else None
        there = tuple(tensors[name].shape) if name in tensors else None
        if here != there:
            raise CheckpointError(
                f"{folder / WEIGHTS_FILE}: {name} has shape {there}, and a {card.backbone} with "
                f"{len(card.classes)} classes needs {here}. The card is of another model."
            )
    state = OrderedDict(tensors)
    # The versions of the modules, which torch keeps beside the tensors: MNASNet insists on them.
    state._metadata = own._metadata  # type: ignore[attr-defined]  # noqa: SLF001 - torch's protocol
    network.load_state_dict(state)
