"""Reads a classifier in ONNX: its card is from the graph, from `vocscore export`, or the user."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vocscore.config.importing import three_numbers
from vocscore.errors import CheckpointError, ImportModelError, OptionError
from vocscore.importing.imported import Imported
from vocscore.importing.onnx_described import described
from vocscore.importing.onnx_file import read_onnx_file, require, serialized
from vocscore.importing.onnx_input import AS_BYTES, image_input
from vocscore.importing.onnx_original import original_of, other_floats
from vocscore.importing.onnx_output import (
    choose_output,
    keep_output,
    own_activation,
    without_activation,
)
from vocscore.importing.preprocessing import changed
from vocscore.models.card import ModelCard
from vocscore.models.onnx_checkpoint import save_onnx_checkpoint
from vocscore.models.onnx_signature import BACKBONE, OnnxSignature
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime.onnx_openvino import any_batch, columns, read_onnx

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.config.importing import ImportConfig
    from vocscore.importing.imported import Request
    from vocscore.importing.onnx_described import Description
    from vocscore.importing.onnx_input import ImageInput

_NONE = (0.0, 0.0, 0.0)
_ONE = (1.0, 1.0, 1.0)
_FIT = (
    "how images were resized in training: an ONNX file does not say it. Compare with its own "
    "program, and see `fit`, `interpolation` and `crop_fraction`."
)


@dataclass(frozen=True, slots=True)
class _Output:
    """The output with the classes.

    Attributes:
        name: of the output.
        activation: of the card.
        inside: whether the file has it too.
    """

    name: str
    activation: str
    inside: bool


def read(file: Path, request: Request) -> Imported:
    """Read a model in ONNX.

    Args:
        file: the file; weights in other files must lie beside it.
        request: what the user asks for.

    Raises:
        ImportModelError, CheckpointError: the file is damaged, refers to files elsewhere, or is not
            a classifier of images that OpenVINO and ONNX Runtime both run.
        OptionError: an option is needed, or contradicts the file.
    """
    require()
    config = request.config
    request.stage("reading the ONNX file")
    model = read_onnx_file(file)
    told = described(model, file)
    taken = image_input(model, file, layout=config.model.layout)
    preprocess, unproved = _preprocess(file, taken, told, config)
    classes = _classes(file, told, request)
    signature = OnnxSignature(
        input=taken.name,
        layout=_needed_layout(file, taken),
        type=taken.type,
        output="?",
        batch=taken.batch,
    )
    data = serialized(model, file)
    activation = config.model.activation
    if told is not None and told.activation == "none":
        activation = activation or "none"
    columns_of = _columns(data, signature, preprocess, file=file)
    name = choose_output(
        {each.name: columns_of.get(each.name) for each in model.graph.output},
        file=file,
        wanted=config.model.output_name,
        classes=len(classes),
    )
    output = _output(model, name, wanted=activation, file=file)
    signature = replace(signature, output=output.name)
    original = original_of(
        model,
        signature,
        preprocess,
        fixed=taken.batch,
        file=file,
    )
    data = _for_the_run(model, data, output, file)
    request.stage("looking for its batch sizes")
    batch = any_batch(data, signature, preprocess, file=file)
    card = ModelCard(
        backbone=BACKBONE,
        classes=classes,
        preprocess=preprocess,
        weights=str(file),
        activation=output.activation,
        onnx=replace(signature, batch=batch),
        origin=_origin(file, model, told),
        **_thresholds(told, output.activation, config),
    )
    other = other_floats(model)
    if other:
        unproved = (*unproved, f"its arithmetic in {other}: both sides computed in float32.")
    return Imported(
        card=card,
        save=lambda folder: save_onnx_checkpoint(folder, data, card),
        original=original,
        library="ONNX Runtime",
        unproved=unproved,
        activated=output.inside,
    )


def _classes(file: Path, told: Description | None, request: Request) -> tuple[str, ...]:
    given = request.classes
    if told is None and given is None:
        raise OptionError(
            f"{file}: an ONNX file does not name its classes. Give `classes=FILE`, one name per "
            "line, in the order of the outputs."
        )
    if told is None:
        assert given is not None
        return given
    if given is not None and given != told.classes:
        raise OptionError(
            f"{file}: names other classes than {request.config.model.classes}. Omit `classes`: "
            "vocscore exported the file with its classes."
        )
    return told.classes


def _needed_layout(file: Path, taken: ImageInput) -> str:
    if taken.layout is None:
        raise OptionError(
            f"{file}: the graph does not say the order of its input's axes. Add `layout='NCHW'` "
            "(PyTorch's) or `layout='NHWC'` (TensorFlow's)."
        )
    return taken.layout


def _preprocess(
    file: Path, taken: ImageInput, told: Description | None, config: ImportConfig
) -> tuple[Preprocess, tuple[str, ...]]:
    """Return the preprocessing, and what the comparison with the original cannot show of it."""
    _needed_layout(file, taken)  # without it the size is not known either
    size = _size(file, taken, config)
    if told is not None:
        if config.preprocessing.mean or config.preprocessing.std:
            raise _normalizes_itself(file)
        return changed(replace(told.preprocess, size=size), config.preprocessing), ()
    mean, std = _normalization(file, taken, config)
    own = Preprocess(size=size, mean=mean, std=std)
    return changed(own, config.preprocessing), (_FIT,)


def _size(file: Path, taken: ImageInput, config: ImportConfig) -> int:
    given = config.preprocessing.size
    if taken.size is None and given is None:
        raise OptionError(
            f"{file}: takes images of any size. Name the one that it was trained with: "
            "`size=PIXELS`."
        )
    if None not in (taken.size, given) and taken.size != given:
        raise OptionError(
            f"`size` is {given}, but {file} takes images of {taken.size} x {taken.size} pixels "
            "only. Omit `size`."
        )
    found = given if taken.size is None else taken.size
    assert found is not None
    return found


def _normalization(
    file: Path, taken: ImageInput, config: ImportConfig
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    mean, std = config.preprocessing.mean, config.preprocessing.std
    if mean is not None and std is not None and taken.type.startswith("float"):
        return three_numbers(mean, name="mean"), three_numbers(std, name="std")
    if mean is not None or std is not None:
        if not taken.type.startswith("float"):
            raise _normalizes_itself(file)
        raise OptionError("`mean` and `std` belong together. Add the other one.")
    if taken.pixels == "bytes":
        return _NONE, AS_BYTES
    if taken.pixels == "unit":
        return _NONE, _ONE
    raise OptionError(
        f"{file}: does not say how its pixels are normalized. Add `mean` and `std`, as in "
        "training: 0.485,0.456,0.406 and 0.229,0.224,0.225 (ImageNet), 0 and 1 (pixels from 0 to "
        "1), 0 and 0.003921569 (from 0 to 255)."
    )


def _normalizes_itself(file: Path) -> OptionError:
    return OptionError(
        f"{file}: takes pixels from 0 to 255 and normalizes them itself. Omit `mean` and `std`."
    )


def _columns(
    data: bytes, signature: OnnxSignature, preprocess: Preprocess, *, file: Path
) -> dict[str, int | None]:
    try:
        return columns(read_onnx(data, file=file), signature, size=preprocess.size, file=file)
    except CheckpointError as error:
        raise ImportModelError(str(error)) from error


def _output(model: Any, name: str, *, wanted: str | None, file: Path) -> _Output:
    """Find the activation of the output with the classes; `wanted` is the user's."""
    own = own_activation(model, name)
    if own is None:
        return _Output(name, wanted or "sigmoid", inside=False)
    if wanted == "none":
        return _Output(name, wanted, inside=True)
    kind, node = own
    if wanted is not None and wanted != kind:
        raise OptionError(
            f"`activation` is {wanted}, but {file} ends in {node.op_type} itself. Omit "
            "`activation`."
        )
    return _Output(name, kind, inside=node.op_type != "LogSoftmax")


def _for_the_run(model: Any, data: bytes, output: _Output, file: Path) -> bytes:
    """Return the bytes of the run's file: one output, logits if the activation is known."""
    own = own_activation(model, output.name)
    removed = own is not None and output.inside and output.activation != "none"
    if not removed and len(model.graph.output) == 1:
        return data
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    keep_output(made, output.name)
    if removed:
        found = own_activation(made, output.name)
        assert found is not None
        without_activation(found[1])
    return serialized(made, file)


def _thresholds(told: Description | None, activation: str, config: ImportConfig) -> dict[str, Any]:
    given = config.model.threshold
    if given is not None or told is None:
        usual = 0.0 if activation == "softmax" else 0.5
        return {"threshold": usual if given is None else given}
    if len(set(told.thresholds)) == 1 and told.thresholds[0] <= 1:
        return {"threshold": told.thresholds[0]}
    return {"threshold": 0.5, "thresholds": told.thresholds}


def _origin(file: Path, model: Any, told: Description | None) -> dict[str, str]:
    made = " ".join(part for part in (model.producer_name, model.producer_version) if part)
    facts = {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "producer": made,
        "backbone": told.backbone if told else "",
        "checkpoint": told.checkpoint if told else "",
    }
    return {name: value for name, value in facts.items() if value}
