"""Reads models in ONNX with OpenVINO: uint8 pixels in front, one float32 value per class behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import CheckpointError
from vocscore.models.onnx_external import has_external_data
from vocscore.runtime.openvino import core
from vocscore.runtime.openvino_graph import normalized

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

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


def convert_checkpoint(files: CheckpointFiles, card: ModelCard, *, shape: Shape) -> Any:
    """Convert the ONNX file of a checkpoint, as `convert_onnx` does.

    Raises:
        CheckpointError: the file was replaced or damaged, or does not fit the card.
    """
    file = files.weights_file
    graph = convert_onnx(files.verified_weights(), card, shape=shape, file=file)
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
            f"{file}: its weights are in other files. Import the model again with 'vocscore "
            "import-model', which puts them into one file."
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

    parameter = _reshape(model, signature, group, size=preprocess.size, file=file)
    result = _named(model.outputs, signature.output, what="output", file=file)
    pixels = ops.parameter([group, preprocess.size, preprocess.size, 3], openvino.Type.u8)
    front = pixels if signature.takes_bytes else normalized(pixels, preprocess)
    if signature.layout == "NCHW":
        front = ops.transpose(front, ops.constant([0, 3, 1, 2]))
    if front.get_element_type() != parameter.get_element_type():
        front = ops.convert(front, parameter.get_element_type().get_type_name())
    last = result.get_node().input_value(0)
    parameter.replace(front.output(0))
    return openvino.Model([ops.result(_columns(last, group, file=file))], [pixels], "network")


def _reshape(model: Any, signature: OnnxSignature, images: int, *, size: int, file: Path) -> Any:
    """Give the input of a model its final shape, and return it."""
    import openvino

    parameter = _named(model.inputs, signature.input, what="input", file=file)
    element = _ELEMENTS.get(parameter.get_element_type().get_type_name())
    if element != signature.type or len(model.inputs) != 1:
        raise CheckpointError(
            f"{file}: its inputs are not those of the card. The card belongs to another model."
        )
    wanted = signature.shape(images, size)
    try:
        model.reshape({parameter: openvino.PartialShape(wanted)})
    except RuntimeError as error:
        raise CheckpointError(
            f"{file}: does not take images of shape {tuple(wanted)} ({reason(error)})."
        ) from error
    return parameter


def _named(ports: Any, name: str, *, what: str, file: Path) -> Any:
    for port in ports:
        if name in port.get_names():
            return port
    raise CheckpointError(f"{file}: has no {what} {name!r}. The card belongs to another model.")


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
        last = ops.reshape(last, ops.constant([-1, flat[1]]), special_zero=False)
    return ops.convert(last, "f32")


def reason(error: Exception) -> str:
    """Return why OpenVINO refused a model, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line[3:].rstrip(".") for line in lines if line.startswith("-- ")), "")
    if told and not told.endswith(":"):
        return told
    dull = ("Exception from", "Check '", "To fac", "Error has occur", "FrontEnd API", "Summary")
    said = [line for line in lines if not line.startswith(dull)]
    return " ".join([told, (said or lines or [type(error).__name__])[-1].rstrip(".")]).strip()


def columns(
    model: Any, signature: OnnxSignature, *, size: int, file: Path
) -> dict[str, int | None]:
    """Count the values per image of every output.

    Args:
        model: as returned by `read_onnx`; changed.
        signature: its input is used, and the number of images that it takes.
        size: height and width of the images, pixels.
        file: for messages.

    Returns:
        Names of the outputs -> their number of values per image; None: not a row per image.

    Raises:
        CheckpointError: the model has no such input, or does not take this shape.
    """
    images = signature.batch or 1
    _reshape(model, signature, images, size=size, file=file)
    found: dict[str, int | None] = {}
    for port in model.outputs:
        shape = port.get_partial_shape()
        sides = list(shape.to_shape()) if shape.is_static else []
        row = len(sides) >= 2 and sides[0] == images and all(side == 1 for side in sides[2:])
        found.update(dict.fromkeys(port.get_names(), int(sides[1]) if row else None))
    return found


def any_batch(
    data: bytes, signature: OnnxSignature, preprocess: Preprocess, *, file: Path
) -> int | None:
    """Return how many images a model takes per call; None: any number.

    A file that fixes the number is given another one, which is used only if it changes no output:
    layers inside may have the number written in.

    Args:
        data: the bytes of the file.
        signature: its batch is the number that the file fixes, if it does.
        preprocess: of the card.
        file: for messages.
    """
    several = 3 * (signature.batch or 1)
    try:
        graph = _graph(data, signature, preprocess, group=several, file=file)
    except CheckpointError:
        return signature.batch or 1
    if signature.batch is None:
        return None
    noise = np.random.default_rng(0).integers(
        0, 256, (several, preprocess.size, preprocess.size, 3), dtype=np.uint8
    )
    alone = _run(_graph(data, signature, preprocess, group=signature.batch, file=file))
    expected = np.concatenate([alone(part) for part in np.split(noise, 3)])
    found = _run(graph)(noise)
    same = np.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).max()))
    return None if same else signature.batch


def _graph(
    data: bytes, signature: OnnxSignature, preprocess: Preprocess, *, group: int, file: Path
) -> Any:
    return connected(read_onnx(data, file=file), signature, preprocess, group=group, file=file)


def _run(graph: Any) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    compiled = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda pixels: compiled(pixels)[0].copy()
