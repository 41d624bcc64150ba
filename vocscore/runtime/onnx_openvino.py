"""Reads models in ONNX with OpenVINO: uint8 pixels in front, one float32 value per class behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vocscore.errors import CheckpointError
from vocscore.models.onnx_external import has_external_data
from vocscore.runtime.openvino import core, normalized

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.models.card import ModelCard
    from vocscore.models.checkpoint_files import CheckpointFiles
    from vocscore.models.onnx_signature import OnnxSignature
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.runtime.openvino import Shape

_ELEMENTS = {
    "boolean": "bool",
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "u16": "uint16",
    "i8": "int8",
    "u8": "uint8",
}
"""OpenVINO's names of types -> NumPy's."""


def convert_checkpoint(files: CheckpointFiles, *, shape: Shape) -> Any:
    """Convert the ONNX file of a checkpoint, as `convert_onnx` does.

    Raises:
        CheckpointError: the file was replaced or damaged, or does not fit the card.
    """
    file = files.weights_file
    graph = convert_onnx(files.verified_weights(), files.card, shape=shape, file=file)
    columns = int(graph.output(0).shape[1])
    if columns != len(files.card.classes):
        raise CheckpointError(
            f"{file}: gives {columns} values per image, but the card names "
            f"{len(files.card.classes)} classes. The card belongs to another model."
        )
    return graph


def convert_onnx(data: bytes, card: ModelCard, *, shape: Shape, file: Path) -> Any:
    """Convert a model in ONNX to a graph of the same form as that of our own networks.

    Args:
        data: the bytes of the file.
        card: its preprocessing is put in front; its signature says how the model takes it.
        shape: its group and size are used.
        file: for messages.

    Returns:
        An `openvino.Model`: uint8 (group, S, S, 3) -> float32 (group, F).

    Raises:
        CheckpointError: the model cannot be read, or does not fit the card.
        DeviceError: see `vocscore.runtime.openvino.core`.
    """
    assert card.onnx is not None
    return connected(
        read_onnx(data, file=file), card.onnx, card.preprocess, group=shape.group, file=file
    )


def read_onnx(data: bytes, *, file: Path) -> Any:
    """Read a model in ONNX; `file` is for messages.

    Returns:
        An `openvino.Model`, as the file describes it.

    Raises:
        CheckpointError: it is damaged, needs other files, or has layers that OpenVINO lacks.
        DeviceError: see `vocscore.runtime.openvino.core`.
    """
    try:
        external = has_external_data(data)
    except ValueError as error:
        raise CheckpointError(f"{file}: not a model in ONNX ({error}). Copy it again.") from error
    if external:  # OpenVINO would read any file that it names
        raise CheckpointError(
            f"{file}: its weights are in other files. Import it again with 'vocscore import-model', "
            "which puts them into one file."
        )
    reader = core()
    try:
        return reader.read_model(data)
    except RuntimeError as error:
        raise CheckpointError(f"{file}: OpenVINO cannot read it ({reason(error)}).") from error


def connected(
    model: Any, signature: OnnxSignature, preprocess: Preprocess, *, group: int, file: Path
) -> Any:
    """Put the preprocessing in front of a model, and cut it behind one output.

    Args:
        model: as returned by `read_onnx`; changed.
        signature: its input and output.
        preprocess: of the card.
        group: images per batch.
        file: for messages.

    Returns:
        An `openvino.Model`: uint8 (group, S, S, 3) -> float32 (group, F).

    Raises:
        CheckpointError: the model has no such input or output, or does not take this shape.
    """
    import openvino
    from openvino import opset13 as ops

    parameter = _named(model.inputs, signature.input, what="input", file=file)
    result = _named(model.outputs, signature.output, what="output", file=file)
    element = _ELEMENTS.get(parameter.get_element_type().get_type_name())
    if element != signature.type or len(model.inputs) != 1:
        raise CheckpointError(
            f"{file}: its inputs are not those of the card. The card belongs to another model."
        )
    wanted = signature.shape(group, preprocess.size)
    try:
        model.reshape({parameter: openvino.PartialShape(wanted)})
    except RuntimeError as error:
        raise CheckpointError(
            f"{file}: does not take images of shape {tuple(wanted)} ({reason(error)})."
        ) from error
    pixels = ops.parameter([group, preprocess.size, preprocess.size, 3], openvino.Type.u8)
    front = pixels if signature.takes_bytes else normalized(pixels, preprocess)
    if signature.layout == "NCHW":
        front = ops.transpose(front, ops.constant([0, 3, 1, 2]))
    if front.get_element_type() != parameter.get_element_type():
        front = ops.convert(front, parameter.get_element_type().get_type_name())
    last = result.get_node().input_value(0)
    parameter.replace(front.output(0))
    return openvino.Model([ops.result(_columns(last, group, file=file))], [pixels], "network")


def _named(ports: Any, name: str, *, what: str, file: Path) -> Any:
    for port in ports:
        if name in port.get_names():
            return port
    raise CheckpointError(
        f"{file}: has no {what} {name!r}. The card belongs to another model."
    )


def _columns(last: Any, group: int, *, file: Path) -> Any:
    """Give an output the shape (group, F) and the type float32."""
    from openvino import opset13 as ops

    shape = last.get_partial_shape()
    flat = shape.is_static and list(shape.to_shape())
    if not flat or len(flat) < 2 or flat[0] != group or any(side != 1 for side in flat[2:]):
        raise CheckpointError(
            f"{file}: its output has shape {tuple(flat) if flat else shape} for {group} images, "
            f"not ({group}, classes)."
        )
    if len(flat) > 2:
        last = ops.reshape(last, ops.constant(flat[:2]), special_zero=False)
    return ops.convert(last, "f32")


def reason(error: Exception) -> str:
    """Return why OpenVINO refused a model, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for line in lines:
        if line.startswith("-- "):
            return line[3:].rstrip(".")
    said = [line for line in lines if not line.startswith(("Exception from", "Check '", "To fac"))]
    return (said or lines or [type(error).__name__])[-1].rstrip(".")
