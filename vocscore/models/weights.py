"""Pretrained weights: from torchvision or from a file, without running code from either."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import sys
import warnings
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
import torchvision.models
from torch import nn

from shards.files import open_regular
from vocscore.errors import CheckpointError
from vocscore.models.backbones import is_timm
from vocscore.models.state_dicts import find_tensors, foreign_names
from vocscore.models.timm_models import timm_origin, weights_name
from vocscore.models.timm_weights import timm_weights_file
from vocscore.models.weight_files import (
    check_file,
    first_line,
    is_safetensors,
    run_card,
    run_of,
    weight_file,
)
from vocscore.models.weight_pickles import load_pickle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vocscore.models.state_dicts import Tensors

    Convert = Callable[[Mapping[str, torch.Tensor]], Mapping[str, torch.Tensor] | None]

MISFITS_SHOWN = 3


@dataclass(frozen=True)
class Weights:
    """The content of a file of weights, and its name.

    Attributes:
        saved: a state dict, or the checkpoint of a training script that contains one.
        origin: name of the file in errors.
    """

    saved: object
    origin: str


def imagenet_weights(backbone: str, *, on_stage: Callable[[str], None] | None = None) -> Weights:
    """Load pretrained weights, downloaded once.

    Args:
        backbone: a model of torchvision, whose first ImageNet weights are loaded and checked by
            hash; or of timm, see `timm_weights_file`.
        on_stage: called before a download, which then shows its progress on a terminal.

    Raises:
        CheckpointError: they are not in the cache and cannot be downloaded.
    """
    if is_timm(backbone):
        return read_weights(str(timm_weights_file(backbone, on_stage=on_stage)))
    choice = _imagenet_choice(backbone)
    name = choice.url.rpartition("/")[2]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if not folder.is_absolute():  # '~', which torch would create as a folder
        raise CheckpointError(
            f"{name}: this user has no home folder to download it to. Set TORCH_HOME to a folder "
            "for it, use `weights=FILE`, or start from random weights with `weights='none'`."
        )
    if on_stage is not None and not (folder / name).exists():
        on_stage(f"downloading {name}")
    shown = on_stage is not None and sys.stderr is not None and sys.stderr.isatty()
    try:
        # torch.hub prints 'Downloading' to standard output, which belongs to the results.
        with contextlib.redirect_stdout(io.StringIO()):
            state = choice.get_state_dict(progress=shown, check_hash=True, weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{name} is not in {folder} and cannot be downloaded, or is damaged "
            f"({first_line(error)}). Copy it there, use `weights=FILE`, or start from random "
            f"weights with `weights='none'`."
        ) from error
    return Weights(state, name)


def read_weights(weights: str) -> Weights:
    """Read a file of weights, pickled or safetensors. No code in the file is run.

    Args:
        weights: the file, or a run, whose weights are read.

    Raises:
        CheckpointError: the file is missing, not weights, or cannot be loaded without running code.
    """
    path = weight_file(weights)
    check_file(path, named=weights)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that torch did not write
            saved = _load(path)
    except CheckpointError as error:
        raise CheckpointError(f"{weights}: {error}") from error
    except Exception as error:  # unpickling arbitrary bytes may raise anything
        raise CheckpointError(
            f"{weights}: damaged, or not a state dict that loads without running code "
            f"({type(error).__name__}). Get it again, or save one with "
            "torch.save(model.state_dict(), FILE) or as safetensors."
        ) from error
    return Weights(saved, weights)


def describe_weights(backbone: str, weights: str, *, where: str = "") -> str:
    """Describe the source of weights for the checkpoint, without folders: equal on every machine.

    Args:
        backbone: its name.
        weights: as for `vocscore.models.network.build_network`.
        where: location in the file, as returned by `fit_weights`.
    """
    if weights == "none":
        return "none"
    if weights == "imagenet" and is_timm(backbone):
        file, name = timm_weights_file(backbone), f"timm {weights_name(backbone)}"
    elif weights == "imagenet":
        return f"torchvision {_imagenet_choice(backbone)}"
    else:
        file, run = weight_file(weights), run_of(weights)
        name = file.name if run is None else f"run {run.resolve().name}"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{name} sha256:{digest[:16]}{f' {where}' if where else ''}"


def weights_origin(backbone: str, weights: str) -> dict[str, str]:
    """Return license and source of weights, as far as they are known.

    Those of timm's weights are, and a run keeps them; nothing is known of a file.

    Args:
        backbone: its name.
        weights: as for `vocscore.models.network.build_network`.

    Raises:
        CheckpointError: no such backbone, or the run's card is damaged.
    """
    run = run_of(weights)
    if run is not None:
        return dict(run_card(run, backbone=backbone).origin)
    return timm_origin(backbone) if weights == "imagenet" and is_timm(backbone) else {}


def fit_weights(
    module: nn.Module,
    weights: Weights,
    *,
    backbone: str,
    dropped: Sequence[str],
    convert: Convert | None = None,
) -> str:
    """Copy weights into a backbone, in place; each of its tensors must be given.

    Args:
        module: torchvision's or timm's model, without its head.
        weights: names may have prefixes, and the state dict may be nested; see `find_tensors`.
        backbone: the model's name, for errors.
        dropped: prefixes of keys that `module` does not use.
        convert: tried on tensors that do not fit; returns tensors by the module's names, or None.

    Returns:
        Where in the file they were: '' for a plain state dict, else such as 'state_dict/module.*'.

    Raises:
        CheckpointError: tensors are missing, unexpected, have other shapes or types, or contain
            NaN or infinity.
    """
    found = find_tensors(weights.saved, module.state_dict(), origin=weights.origin)
    misfits = _copied(module, found, dropped=dropped)
    if misfits and convert is not None:
        converted = convert(found.values)
        if converted is not None:
            again = replace(found, values=converted, versions={})
            misfits = _copied(module, again, dropped=dropped) and misfits
    if misfits:
        raise CheckpointError(_misfit(misfits, found, weights.origin, backbone))
    return found.where


def _copied(module: nn.Module, found: Tensors, *, dropped: Sequence[str]) -> list[str]:
    """Copy tensors into a module, and return what is wrong with them; empty if they fit."""
    own = module.state_dict()
    state = OrderedDict(
        (name, value) for name, value in found.values.items() if not name.startswith(tuple(dropped))
    )
    misfits = [
        f"{name} {wrong}"
        for name, value in state.items()
        if name in own and (wrong := _wrong(value, own[name]))
    ]
    if not misfits:
        missing, unexpected = module.load_state_dict(_versioned(state, found, module), strict=False)
        misfits += [f"{n} is missing" for n in missing if not n.endswith("num_batches_tracked")]
        misfits += [f"{n} is unexpected" for n in unexpected]
    return misfits


def _versioned(
    state: OrderedDict[str, torch.Tensor], found: Tensors, module: nn.Module
) -> OrderedDict[str, torch.Tensor]:
    """Attach the versions of the modules to the tensors, by torch's protocol.

    Modules rename old keys by the version that the file records. If it records none (as in
    safetensors), the outermost module is treated as current: otherwise MNASNet refuses to load.
    """
    versions = found.versions or {"": {"version": getattr(module, "_version", 1)}}
    state._metadata = versions  # type: ignore[attr-defined]  # noqa: SLF001 - torch's own protocol
    return state


def _wrong(value: torch.Tensor, own: torch.Tensor) -> str:
    """Return why a tensor cannot replace the backbone's; '' if it can."""
    if value.shape != own.shape:
        return f"has shape {list(value.shape)} instead of {list(own.shape)}"
    plain = value.layout == torch.strided and not value.is_quantized and not value.is_meta
    if not plain or value.is_floating_point() != own.is_floating_point():
        return f"is {str(value.dtype).removeprefix('torch.')}, not a plain float tensor"
    if value.is_floating_point() and not bool(value.float().isfinite().all()):
        return "contains NaN or infinity"
    return ""


def _misfit(misfits: Sequence[str], found: Tensors, origin: str, backbone: str) -> str:
    first = "; ".join(misfits[:MISFITS_SHOWN])
    more = len(misfits) - MISFITS_SHOWN
    library = foreign_names(found.values)
    place = f" ({found.where})" if found.where else ""
    example = next(iter(found.values), "")
    if library == "timm" and not is_timm(backbone):
        cure = f"Its names are those of timm, such as {example}: use `backbone='timm/NAME'`."
    elif library and library != "timm":
        cure = (
            f"Its names are those of {library}, such as {example}; only models of torchvision and "
            "timm are supported."
        )
    else:
        owner = "timm" if is_timm(backbone) else "torchvision"
        cure = f"It must be {owner}'s state dict of the same `backbone`."
    return (
        f"{origin}{place} does not fit {backbone}: {first}"
        f"{f' and {more} more' if more > 0 else ''}. {cure}"
    )


def _imagenet_choice(backbone: str) -> torchvision.models.WeightsEnum:
    """Return torchvision's first ImageNet weights, or its default if it has none of that name."""
    choices = torchvision.models.get_model_weights(backbone)
    return choices.__members__.get("IMAGENET1K_V1", choices.DEFAULT)


def _load(path: Path) -> object:
    """Load the content of a file."""
    with os.fdopen(open_regular(path), "rb") as file:
        first = file.read(16)
        file.seek(0)
        if is_safetensors(first):
            return safetensors.torch.load(file.read())
        return load_pickle(file)
