"""Pretrained weights: from torchvision or from a file, without running code from either."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import re
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors
import safetensors.torch
import torch
import torchvision.models
from torch import nn

from shards.files import open_binary
from vocscore.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts keep the state dict, beside the epoch and the optimiser."""

OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
"""torchvision's published DenseNet files predate the ban on dots in module names."""

MISFITS_SHOWN = 3


@dataclass(frozen=True)
class Weights:
    """A state dict and where it came from.

    Attributes:
        tensors: torchvision's names -> values, on the CPU.
        origin: what an error calls it.
        versions: the version of each module as the file records it; empty where it does not.
    """

    tensors: Mapping[str, torch.Tensor]
    origin: str
    versions: Mapping[str, Mapping[str, int]]


def imagenet_weights(backbone: str) -> Weights:
    """The ImageNet weights that torchvision published first, downloaded once, checked by hash.

    Raises:
        CheckpointError: they are not in torch.hub's cache and cannot be downloaded.
    """
    choice = _imagenet_choice(backbone)
    name = choice.url.rpartition("/")[2]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if not folder.is_absolute():  # '~', which torch would make a folder of
        raise CheckpointError(
            f"{name}: this user has no home folder to download it to. Set TORCH_HOME to a folder "
            "for it, use --weights FILE, or start from nothing with --weights none."
        )
    try:
        # torch.hub prints 'Downloading' to standard output, which belongs to the results.
        with contextlib.redirect_stdout(sys.stderr):
            state = choice.get_state_dict(
                progress=sys.stderr.isatty(), check_hash=True, weights_only=True
            )
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{name} is not in {folder} and cannot be downloaded, or is damaged "
            f"({_first_line(error)}). Put a whole one there, or use --weights FILE, or start from "
            f"nothing with --weights none."
        ) from error
    return _to_weights(state, name)


def read_weights(file: str) -> Weights:
    """Read a torchvision state dict, pickled or safetensors. No code in the file is run.

    Raises:
        CheckpointError: the file is missing, is neither, or holds something else.
    """
    path = Path(file)
    if not path.is_file():
        raise CheckpointError(
            f"{file}: no such file of weights. --weights takes 'imagenet', 'none' or a file."
        )
    try:
        state = _load(path)
    except Exception as error:  # an unpickler that is fed arbitrary bytes may raise anything
        raise CheckpointError(
            f"{file}: not a state dict that loads without running code ({type(error).__name__}). "
            f"Save one with torch.save(model.state_dict(), FILE) or as safetensors."
        ) from error
    return _to_weights(state, file)


def describe_weights(backbone: str, weights: str) -> str:
    """Where weights came from, for the checkpoint: no folder names, the same on every machine.

    Args:
        backbone: the name of a torchvision classification model.
        weights: as `vocscore.models.network.build_network` takes it.
    """
    if weights == "none":
        return "none"
    if weights == "imagenet":
        return f"torchvision {_imagenet_choice(backbone)}"
    with open_binary(weights) as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return f"{Path(weights).name} sha256:{digest[:16]}"


def fit_weights(
    module: nn.Module, weights: Weights, *, backbone: str, dropped: Sequence[str]
) -> None:
    """Copy weights into a backbone, in place; each of its tensors must be given.

    Args:
        module: torchvision's model, without its head.
        weights: the state dict; names may carry DataParallel's 'module.'.
        backbone: the model's name, for errors.
        dropped: prefixes of keys that `module` has no use for.

    Raises:
        CheckpointError: tensors are missing, left over, or of other shapes.
    """
    state = OrderedDict(
        (OLD_DENSENET.sub(r"\1\2", name), value)
        for name, value in weights.tensors.items()
        if not name.startswith(tuple(dropped))
    )
    # Modules rename old keys by the version that the file records. Where it records none (a
    # safetensors file), the outermost counts as new: MNASNet refuses to load otherwise.
    versions = weights.versions or {"": {"version": getattr(module, "_version", 1)}}
    state._metadata = versions  # type: ignore[attr-defined]  # noqa: SLF001 - torch's own protocol
    own = module.state_dict()
    misfits = [
        f"{name} is {_shape(value)} there, {_shape(own[name])} here"
        for name, value in state.items()
        if name in own and own[name].shape != value.shape
    ]
    if not misfits:
        missing, unexpected = module.load_state_dict(state, strict=False)
        misfits += [f"{name} is missing" for name in missing]
        misfits += [f"{name} is left over" for name in unexpected]
    if misfits:
        first = "; ".join(misfits[:MISFITS_SHOWN])
        more = len(misfits) - MISFITS_SHOWN
        raise CheckpointError(
            f"{weights.origin} does not fit {backbone}: {first}"
            f"{f' and {more} more' if more > 0 else ''}. "
            f"It must be torchvision's state dict of the same --backbone."
        )


def _imagenet_choice(backbone: str) -> torchvision.models.WeightsEnum:
    """The first ImageNet weights that torchvision published, or its default if none is so named."""
    choices = torchvision.models.get_model_weights(backbone)
    return choices.__members__.get("IMAGENET1K_V1", choices.DEFAULT)


def _load(path: Path) -> object:
    """Whatever the file holds; a safetensors file begins with a length and a JSON object."""
    with open_binary(path) as file:
        head = file.read(9)
    if head[8:] == b"{" and not head.startswith((b"PK", b"\x80")):
        return safetensors.torch.load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _to_weights(state: object, origin: str) -> Weights:
    """Take off the wrappers that training scripts put around a state dict.

    Raises:
        CheckpointError: there is something else in it than names and tensors.
    """
    for key in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f"{origin}: holds {type(state).__name__}, not a state dict.")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f"{origin}: not a state dict: {name!r} is {type(value).__name__}, not a tensor."
            )
    versions = getattr(state, "_metadata", {})
    if all(name.startswith("module.") for name in state):  # saved from inside DataParallel
        state = {name.removeprefix("module."): value for name, value in state.items()}
        versions = {name.removeprefix("module").lstrip("."): v for name, v in versions.items()}
    return Weights(tensors=state, origin=origin, versions=versions)


def _shape(tensor: torch.Tensor) -> str:
    return str(list(tensor.shape))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
