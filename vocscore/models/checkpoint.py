"""The checkpoint: a network's weights and the card that says how to use them.

`model.safetensors` holds tensors only and `model.json` plain values: reading them runs no code,
and needs no download. The card is written last and names the hash of the weights, so a checkpoint
is either whole or visibly not.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch

from shards import atomic
from vocscore.errors import CheckpointError
from vocscore.models.network import Network, build_network, empty_network, input_preprocess
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "ModelCard",
    "Network",
    "build_network",
    "checkpoint_hash",
    "input_preprocess",
    "load_checkpoint",
    "save_checkpoint",
]

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "model.json"
FORMAT_VERSION = 1
_LARGEST = 3e38  # of a float32


@dataclass(frozen=True)
class ModelCard:
    """What must be known of a network to use it.

    Attributes:
        backbone: the name of a torchvision classification model.
        classes: the names of the logits, in column order, each once.
        preprocess: what turns a picture into the network's input.
        threshold: a class counts as predicted from this probability on, 0 to 1.
        weights: where the backbone's first weights came from, for people.
    """

    backbone: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    threshold: float
    weights: str

    def __post_init__(self) -> None:
        """Refuse a card that no network can have.

        Raises:
            ValueError: classes missing, doubled or not names, or a threshold outside 0 to 1.
        """
        names = self.classes
        if not names or not all(isinstance(n, str) and n for n in names):
            raise ValueError(f"classes must be names, got {names!r}")
        if len(set(names)) != len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise ValueError(f"class {twice!r} occurs twice")
        if not (isinstance(self.threshold, (int, float)) and 0 <= self.threshold <= 1):
            raise ValueError(f"threshold must be from 0 to 1, got {self.threshold!r}")
        if not isinstance(self.backbone, str) or not isinstance(self.weights, str):
            raise TypeError("backbone and weights must be text")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "backbone": self.backbone,
            "classes": list(self.classes),
            "preprocess": self.preprocess.to_json(),
            "threshold": self.threshold,
            "weights": self.weights,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ModelCard:
        """The inverse of `to_json`; further keys are let pass.

        Raises:
            KeyError, TypeError, ValueError: the values are not those of a card.
        """
        return cls(
            backbone=value["backbone"],
            classes=tuple(value["classes"]),
            preprocess=_preprocess(value["preprocess"]),
            threshold=value["threshold"],
            weights=value["weights"],
        )


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
        "format": FORMAT_VERSION,
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
    written = _read_card(folder)
    try:
        card = ModelCard.from_json(written)
    except (KeyError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CheckpointError(f"{folder / CARD_FILE}: not a model card ({what}).") from error
    data = _read(folder / WEIGHTS_FILE)
    if hashlib.sha256(data).hexdigest() != written.get("weights_sha256"):
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE}: not the weights that {CARD_FILE} was written with (the save "
            f"was interrupted or a file was replaced). Train again or copy both files anew."
        )
    network = empty_network(card.backbone, classes=len(card.classes))
    _fill(network, data, folder=folder, card=card)
    return network.eval(), card


def checkpoint_hash(folder: Path) -> str:
    """The identity of a checkpoint: sha256 over both files' bytes, 64 hexadecimal digits.

    Raises:
        CheckpointError: a file is missing.
    """
    digest = hashlib.sha256()
    for name in (CARD_FILE, WEIGHTS_FILE):
        data = _read(folder / name)
        digest.update(len(data).to_bytes(8, "little"))  # where one file ends and the other begins
        digest.update(data)
    return digest.hexdigest()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{file}: {error.strerror}. A model is a folder that 'vocscore train' finished "
            f"({WEIGHTS_FILE} and {CARD_FILE})."
        ) from error


def _read_card(folder: Path) -> dict[str, Any]:
    """The JSON of the card, of a format that is known here."""
    data = _read(folder / CARD_FILE)
    try:
        written = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder / CARD_FILE}: not JSON ({error}).") from error
    found = written.get("format") if isinstance(written, dict) else None
    if found != FORMAT_VERSION:
        raise CheckpointError(
            f"{folder / CARD_FILE}: format {found!r} is not {FORMAT_VERSION}, the one that is "
            f"known here. Use the version of vocscore that wrote it."
        )
    return dict(written)


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


def _preprocess(value: dict[str, Any]) -> Preprocess:
    """A Preprocess from JSON, where 256 could be 256.5 or "256"."""
    made = Preprocess.from_json(value)
    numbers = (*made.mean, *made.std)
    if not isinstance(made.size, int) or isinstance(made.size, bool):
        raise TypeError(f"preprocess size must be whole pixels, got {made.size!r}")
    if not isinstance(made.upright, bool):
        raise TypeError(f"preprocess upright must be true or false, got {made.upright!r}")
    # Compared, and not converted: JSON's whole numbers may be larger than any float.
    if not all(type(n) in (int, float) and -_LARGEST < n < _LARGEST for n in numbers):
        raise TypeError(f"preprocess mean and std must be numbers, got {numbers!r}")
    return made
