"""What `vocscore export` wrote about a model, in the ONNX file and beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shards.files import read_regular
from vocscore.errors import ImportModelError
from vocscore.importing.onnx_input import AS_BYTES
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

_OURS = frozenset({"classes", "thresholds", "size", "checkpoint", "normalisation", "orientation"})
_RESIZE = ("fit", "interpolation", "crop_fraction", "pad_color")


@dataclass(frozen=True, slots=True)
class Description:
    """The facts about an exported model.

    Attributes:
        classes: names of the outputs.
        thresholds: one per class.
        preprocess: the steps outside the graph; its mean and standard deviation change nothing.
        activation: of the run; its sigmoid or softmax is inside the graph.
        backbone: of the run that was exported.
        checkpoint: hash of that run.
    """

    classes: tuple[str, ...]
    thresholds: tuple[float, ...]
    preprocess: Preprocess
    activation: str
    backbone: str
    checkpoint: str


def described(model: Any, file: Path) -> Description | None:
    """Return what `vocscore export` wrote into a model or beside it; None: it wrote nothing.

    Args:
        model: an `onnx.ModelProto`.
        file: its file.

    Raises:
        ImportModelError: the facts are damaged, or of a newer version.
    """
    facts = {entry.key: _value(entry.value) for entry in model.metadata_props}
    if not facts.keys() >= _OURS:
        facts = _beside(file)
    if not facts.keys() >= _OURS:
        return None
    if facts.get("format") != 1:
        raise ImportModelError(
            f"{file}: exported by a newer vocscore (format {facts.get('format')!r}). Use that "
            "version."
        )
    try:
        return _description(facts)
    except (KeyError, TypeError, ValueError) as error:
        raise ImportModelError(
            f"{file}: its description is damaged ({error}). Export it again."
        ) from error


def _description(facts: dict[str, Any]) -> Description:
    resize = {name: facts[name] for name in _RESIZE if name in facts}
    classes, thresholds = facts["classes"], facts["thresholds"]
    if not isinstance(classes, list) or not isinstance(thresholds, list):
        raise TypeError("classes and thresholds must be lists")
    value = {
        "size": facts["size"],
        "upright": facts["orientation"] != "ignore EXIF",
        "mean": [0.0] * 3,
        "std": AS_BYTES,
        **resize,
    }
    return Description(
        classes=tuple(classes),
        thresholds=tuple(float(value) for value in thresholds),
        preprocess=Preprocess.from_json(value),
        activation=next((name for name in ("softmax", "sigmoid") if name in facts), "none"),
        backbone=str(facts.get("backbone", "")),
        checkpoint=str(facts["checkpoint"]),
    )


def _value(text: str) -> Any:
    """Undo `vocscore.exporting.names.as_text`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _beside(file: Path) -> dict[str, Any]:
    """Return the content of FILE.json; {} if it is missing or something else."""
    try:
        found = json.loads(read_regular(file.with_name(f"{file.name}.json")))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
