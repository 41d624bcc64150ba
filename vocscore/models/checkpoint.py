"""The checkpoint: a network's weights and the card that says how to use them.

`model.safetensors` contains only tensors and `model.json` plain values: reading them runs no code
and needs no download. The card is written last and contains the hash of the weights, so an
incomplete checkpoint is detected.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import OrderedDict
from typing import TYPE_CHECKING

import safetensors
import safetensors.torch

from shards import atomic
from vocscore.errors import CheckpointError
from vocscore.models.card import CARD_FILE, WEIGHTS_FILE, ModelCard
from vocscore.models.checkpoint_files import read_checkpoint
from vocscore.models.head_spec import OWN
from vocscore.models.heads.csra import ResidualAttention
from vocscore.models.network import Network, empty_network, with_head
from vocscore.models.own_head import own_network

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.models.checkpoint_files import CheckpointFiles


def save_checkpoint(folder: Path, network: Network, card: ModelCard) -> None:
    """Write a checkpoint; equal input gives equal bytes, on any device.

    Raises:
        ValueError: the numbers of classes and of logits differ.
        OSError: the folder cannot be written.
    """
    if network.head.out_features != len(card.classes):
        raise ValueError(f"{network.head.out_features} logits for {len(card.classes)} classes")
    # No metadata: safetensors writes it in random order.
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
        CheckpointError: files are missing, damaged, of a newer format, or do not match.
    """
    files = read_checkpoint(folder)
    return load_network(files), files.card


def load_network(files: CheckpointFiles) -> Network:
    """Build the network of a checkpoint whose files have been read.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        CheckpointError: the weights are damaged, or do not fit the card.
    """
    if files.card.onnx is not None:
        raise CheckpointError(
            f"{files.folder}: an ONNX model, which PyTorch cannot run. It can be scored, evaluated "
            "and quantized; training, features and heat maps need a network of torchvision or timm."
        )
    weights = files.verified_weights()
    network = _empty(files.card)
    _fill(network, weights, files)
    return network.eval()


def _empty(card: ModelCard) -> Network:
    """Build the network that a card describes, with random weights."""
    if card.head.get("kind") == OWN:
        return own_network(card)
    size = card.preprocess.size
    network = empty_network(card.backbone, classes=len(card.classes), size=size)
    return with_head(network, card.head_spec, backbone=card.backbone, size=size)


def _fill(network: Network, weights: bytes, files: CheckpointFiles) -> None:
    """Copy the weights into the network; names and shapes must be the same."""
    file, card = files.folder / WEIGHTS_FILE, files.card
    try:
        tensors = safetensors.torch.load(weights)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{file}: not safetensors ({error}).") from error
    own = network.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        here = tuple(own[name].shape) if name in own else None
        there = tuple(tensors[name].shape) if name in tensors else None
        if here != there:
            raise CheckpointError(
                f"{file}: {name} has shape {there}, but a {card.backbone} with "
                f"{len(card.classes)} classes needs {here}. The card belongs to another model."
            )
    state = OrderedDict(tensors)
    # The versions of the modules, which torch keeps beside the tensors: MNASNet needs them.
    state._metadata = own._metadata  # type: ignore[attr-defined]  # noqa: SLF001 - torch's protocol
    network.load_state_dict(state)
    if isinstance(network.head, ResidualAttention):  # its lambda is a tensor, too
        kept, told = network.head.spec().residual, float(card.head["lambda"])
        if not math.isclose(kept, told, rel_tol=1e-5):
            raise CheckpointError(
                f"{files.folder / CARD_FILE}: lambda is {told:g}, but the weights were trained "
                f"with {kept:g}. Copy the run again, or train with `csra_lambda={told:g}`."
            )
