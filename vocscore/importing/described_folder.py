"""Reads a model in timm's form on Hugging Face: `config.json` beside `model.safetensors`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shards.class_names import canonical, name_fault
from shards.files import read_regular
from vocscore.errors import ImportModelError, OptionError
from vocscore.importing.classifier import Architecture, read_classifier
from vocscore.importing.preprocessing import timm_preprocess
from vocscore.models.backbones import TIMM, check_backbone

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.importing.imported import Imported, Request

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of the weights, the preferred one first."""
_LARGEST = 64 << 20


def is_described(file: Path) -> bool:
    """Whether a path is a model in this form: its folder, or one of its files."""
    return file.is_dir() or (
        file.name in (CONFIG, *WEIGHTS) and _is_configuration(file.parent / CONFIG)
    )


def read(file: Path, request: Request) -> Imported:
    """Read a model in timm's form; see `read_classifier`.

    Args:
        file: its folder, or a file in it.
        request: what the user asks for; options take precedence over the configuration.

    Raises:
        ImportModelError: it is not in this form, or one of another library.
        OptionError: its classes are needed, or another backbone was given.
        CheckpointError: as `read_classifier`.
    """
    folder = file if file.is_dir() else file.parent
    found = _configuration(folder / CONFIG)
    weights = file if file.name in WEIGHTS else _weights(folder)
    name = found.get("architecture")
    if not isinstance(name, str):
        raise ImportModelError(_other_library(folder / CONFIG, found))
    backbone = TIMM + name.partition(".")[0]
    given = request.config.model.backbone
    if given is not None and given.partition(".")[0] not in (backbone, backbone.removeprefix(TIMM)):
        raise OptionError(
            f"{folder / CONFIG}: its architecture is {backbone}, but `backbone` is {given}. Omit "
            "`backbone`."
        )
    check_backbone(backbone)
    settings = found.get("pretrained_cfg")
    settings = settings if isinstance(settings, dict) else found  # older files have no such part
    arguments = found.get("model_args")
    described = Architecture(
        backbone,
        _classes(found, request, folder / CONFIG),
        timm_preprocess(settings, origin=str(folder / CONFIG), asked=request.config.preprocessing),
        arguments=_without_size(arguments if isinstance(arguments, dict) else {}),
        origin=_origin(settings),
        complete=request.classes is None,
    )
    return read_classifier(weights, described, request)


def _without_size(arguments: dict[str, Any]) -> dict[str, Any]:
    """Leave out what follows from the preprocessing and from the classes."""
    return {k: v for k, v in arguments.items() if k not in ("img_size", "num_classes", "in_chans")}


def _classes(found: dict[str, Any], request: Request, config: Path) -> tuple[str, ...]:
    """Return the classes that the user gave, or those of the configuration.

    Raises:
        OptionError: there are none, or not as many as outputs, or a name cannot be a column.
    """
    if request.classes is not None:
        return request.classes
    outputs, labels = found.get("num_classes"), found.get("label_names")
    told = f"its {outputs} classes" if isinstance(outputs, int) else "its classes"
    why = f"does not name {told}"
    if isinstance(labels, list) and labels and all(isinstance(label, str) for label in labels):
        names = tuple(canonical(label) for label in labels)
        faults = [fault for name in names if (fault := name_fault(name))]
        twice = next((name for name in names if names.count(name) > 1), None)
        if not faults and twice is None and outputs in (None, len(names)):
            return names
        why = (
            f"names {len(names)} classes for {outputs} outputs"
            if outputs not in (None, len(names))
            else f"names the class {twice!r} twice"
            if twice is not None
            else f"has a class name that cannot be a column ({faults[0].partition('.')[0]})"
        )
    raise OptionError(
        f"{config}: {why}. Give `classes=FILE`, one name per line, in the order of the outputs."
    )


def _configuration(file: Path) -> dict[str, Any]:
    """Read the configuration.

    Raises:
        ImportModelError: it is missing or damaged.
    """
    try:
        if file.stat().st_size > _LARGEST:
            raise ImportModelError(f"{file}: too large for a model's configuration.")
        found = json.loads(read_regular(file))
    except FileNotFoundError as error:
        raise ImportModelError(
            f"{file.parent}: has no {CONFIG}, so it is not a model in timm's form. Name a file of "
            "weights, and its architecture with `backbone`."
        ) from error
    except OSError as error:
        raise ImportModelError(f"{file}: {str(error.strerror).lower()}.") from error
    except (ValueError, RecursionError) as error:
        raise ImportModelError(f"{file}: not JSON ({error}).") from error
    if not isinstance(found, dict):
        raise ImportModelError(
            f"{file}: not a model's configuration, but a {type(found).__name__}."
        )
    return found


def _is_configuration(file: Path) -> bool:
    try:
        found = _configuration(file)
    except ImportModelError:
        return False
    return bool({"architecture", "architectures", "pretrained_cfg"} & found.keys())


def _weights(folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).exists():
            return folder / name
    parts = sorted(path.name for path in folder.glob("*.index.json"))
    several = f" (weights in several files, {parts[0]}, are not supported)" if parts else ""
    raise ImportModelError(
        f"{folder}: has no {WEIGHTS[0]}{several}. Download the whole repository of the model."
    )


def _other_library(config: Path, found: dict[str, Any]) -> str:
    names = found.get("architectures")
    if isinstance(names, list) and names:
        return (
            f"{config}: {names[0]} is a model of Hugging Face transformers. Only timm's are read; "
            "export it to ONNX (optimum-cli export onnx) and import that file."
        )
    return f"{config}: names no architecture of timm. Name the weights, and `backbone`."


def _origin(settings: dict[str, Any]) -> dict[str, str]:
    """Return license and source, as far as the configuration states them."""
    repository = settings.get("hf_hub_id")
    facts = {
        "license": settings.get("license"),
        "source": f"https://huggingface.co/{repository}" if repository else settings.get("url"),
        "original": settings.get("origin_url"),
    }
    return {name: value for name, value in facts.items() if isinstance(value, str) and value}
