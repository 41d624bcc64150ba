"""Imports a whole classifier of torchvision or timm: an architecture, and a file of its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from vocscore.errors import CheckpointError, ImportModelError
from vocscore.importing.imported import Imported
from vocscore.importing.preprocessing import changed
from vocscore.importing.split_head import split_head
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import save_checkpoint
from vocscore.models.head_spec import OWN
from vocscore.models.network import AUXILIARY_HEADS, empty_network
from vocscore.models.own_head import build_whole, wrapped
from vocscore.models.state_dicts import find_tensors
from vocscore.models.weight_files import check_file
from vocscore.models.weights import describe_weights, fit_weights, read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from vocscore.importing.imported import Request
    from vocscore.models.network import Network
    from vocscore.models.weights import Weights
    from vocscore.pipeline.preprocess import Preprocess

TAKES = (
    "import-model takes a file of weights, a folder with config.json and model.safetensors, or an "
    "ONNX file."
)
_THRESHOLDS = {"sigmoid": 0.5, "softmax": 0.0, "none": 0.5}
"""Activation -> threshold if none is given; with softmax the most probable class is predicted."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A classifier without its weights.

    Attributes:
        backbone: name of a torchvision classifier, or timm/NAME.
        classes: names of the outputs, in order.
        preprocess: its authors' own.
        arguments: of timm's `create_model`, from the model's configuration.
        origin: facts for the card, such as its license.
        complete: whether the model itself says its preprocessing and its classes.
    """

    backbone: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    arguments: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False


def read_classifier(file: Path, described: Architecture, request: Request) -> Imported:
    """Read the weights of a classifier, its own last layer included.

    Args:
        file: a state dict, pickled or safetensors, also inside the checkpoint of a training script,
            with the prefixes of wrappers. No code in it is run.
        described: the architecture.
        request: what the user asks for.

    Raises:
        CheckpointError: the file is not weights, or does not fit the architecture.
        ImportModelError: it has another number of outputs, or the architecture does not accept
            images of this size.
    """
    backbone, classes = described.backbone, described.classes
    preprocess = changed(described.preprocess, request.config.preprocessing)
    check_file(file, named=str(file), takes=TAKES)
    request.stage("reading the weights")
    weights = read_weights(str(file))
    request.stage("building the original")
    whole = build_whole(
        backbone,
        classes=len(classes),
        size=preprocess.size,
        arguments=described.arguments,
    )
    _check_size(whole, backbone, size=preprocess.size)
    _refuse_other_outputs(whole, weights, classes=len(classes))
    where = fit_weights(
        whole, weights, backbone=backbone, dropped=AUXILIARY_HEADS.get(backbone, ())
    )
    request.stage("building the network")
    network, head = _network(whole, described, size=preprocess.size)
    asked = request.config.model
    activation = asked.activation or "sigmoid"
    card = ModelCard(
        backbone=backbone,
        classes=classes,
        preprocess=preprocess,
        threshold=_THRESHOLDS[activation] if asked.threshold is None else asked.threshold,
        weights=describe_weights(backbone, str(file), where=where),
        activation=activation,
        head=head,
        origin={**described.origin, "imported": "state dict of a whole classifier"},
    )
    return Imported(
        card=card,
        save=partial(save_checkpoint, network=network, card=card),
        original=partial(_outputs, whole, preprocess),
        library="PyTorch",
        unproved=_unproved(described),
    )


def _network(
    whole: nn.Module, described: Architecture, *, size: int
) -> tuple[Network, dict[str, Any]]:
    """Return the network to be saved, and the head of its card.

    The arguments of a configuration are often the defaults of its architecture, as timm writes
    them: `split_head` finds out whether they change anything.
    """
    classes = len(described.classes)
    try:
        network = empty_network(described.backbone, classes=classes, size=size)
        if split_head(whole, network, size=size):
            return network, {}
    except CheckpointError:  # cannot be built for this size without the arguments
        if not described.arguments:
            raise
    arguments = {"arguments": dict(described.arguments)} if described.arguments else {}
    return wrapped(whole, classes=classes), {"kind": OWN, **arguments}


@torch.inference_mode()
def _outputs(whole: nn.Module, preprocess: Preprocess, images: torch.Tensor) -> NDArray[np.float32]:
    """Run the original: images uint8 (N, 3, S, S) -> float32 (N, C).

    Not with `Preprocess.normalize`, which is under test.
    """
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (preprocess.mean, preprocess.std))
    found: NDArray[np.float32] = whole((images.float() / 255 - mean) / std).float().numpy()
    return found


@torch.inference_mode()
def _check_size(whole: nn.Module, backbone: str, *, size: int) -> None:
    """Run the classifier on one black image.

    Raises:
        ImportModelError: it does not accept images of this size.
    """
    try:
        whole(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ImportModelError(
            f"{backbone} does not accept {size}x{size} pixels ({reason}). Omit `size`, or choose "
            "one that it accepts."
        ) from error


def _refuse_other_outputs(whole: nn.Module, weights: Weights, *, classes: int) -> None:
    """Refuse weights whose only misfit is their number of outputs.

    Raises:
        ImportModelError: they are for another number of classes.
    """
    own = whole.state_dict()
    found = find_tensors(weights.saved, own, origin=weights.origin).values
    misfits = [n for n in own if n in found and found[n].shape != own[n].shape]
    outputs = {
        int(found[name].shape[0])
        for name in misfits
        if found[name].ndim == own[name].ndim
        and own[name].shape[0] == classes
        and found[name].shape[1:] == own[name].shape[1:]
    }
    if len(outputs) == 1 and misfits:
        raise ImportModelError(
            f"{weights.origin}: has {outputs.pop()} outputs, but there are {classes} classes. Name "
            "one class per output with `classes`."
        )


def _unproved(described: Architecture) -> tuple[str, ...]:
    """Say what a file does not contain, so that nothing can be compared with it."""
    if described.complete:
        return ()
    line = (
        "the preprocessing and the order of the classes, which weights do not contain. Compare "
        "some predictions with those of the program that trained them."
    )
    return (line,)
