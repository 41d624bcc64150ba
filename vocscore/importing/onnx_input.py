"""Finds out from an ONNX graph how it takes images: layout, size, type, normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import ImportModelError, OptionError
from vocscore.models.onnx_signature import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

AS_BYTES = (1 / 255, 1 / 255, 1 / 255)
"""The standard deviation, with a mean of 0, that leaves pixels from 0 to 255 as they are."""
_MOST_BYTES_SCALE = 0.05
"""A graph that multiplies its input by less takes pixels from 0 to 255: by 1 / 255 or 1 / 58."""
_LEAST_UNIT_SCALE = 0.5
"""A graph that multiplies its input by more takes values from 0 to 1, unless it subtracts a mean of
bytes."""
_BYTES_SHIFT = 20.0
_LONGEST = 20
"""Layers that are looked at; normalization takes at most ten."""
_PASSING = ("Cast", "Identity", "Transpose", "Dropout")
_FIRST = {(0, 3, 1, 2): "NHWC", (0, 2, 3, 1): "NCHW"}
"""The order of axes of a transposition -> the layout before it."""


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The input of a graph, as far as it tells.

    Attributes:
        name: its name.
        type: of its elements, as NumPy names it.
        layout: 'NCHW' or 'NHWC'; None: the graph does not tell.
        size: height and width, pixels; None: any.
        batch: images per call; None: any.
        pixels: 'bytes' (0 to 255), 'unit' (0 to 1) if the graph normalizes them itself; None: the
            graph does not tell.
    """

    name: str
    type: str
    layout: str | None
    size: int | None
    batch: int | None
    pixels: str | None


def image_input(model: Any, file: Path, *, layout: str | None) -> ImageInput:
    """Find the input of a graph.

    Args:
        model: an `onnx.ModelProto`.
        file: for messages.
        layout: the one that the user gave.

    Raises:
        ImportModelError: it has no input or several, or does not take RGB images of equal sides.
        OptionError: the layout that the user gave contradicts the graph.
    """
    found = _only_input(model, file)
    kind = _type(found, file)
    sides = _sides(found, file)
    chain = list(_chain(model.graph, found.name))
    told = _layout(sides, chain)
    if layout is not None and told is not None and layout != told:
        raise OptionError(
            f"`layout` is {layout}, but the input {found.name!r} of {file} is {told}."
        )
    known = layout or told
    size = _size(sides, known, found.name, file)
    whole = kind not in ("float16", "float32", "float64")
    return ImageInput(
        name=found.name,
        type=kind,
        layout=known,
        size=size,
        batch=sides[0],
        pixels="bytes" if whole else _pixels(model.graph, chain),
    )


def _only_input(model: Any, file: Path) -> Any:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    if len(inputs) == 1:
        return inputs[0]
    names = ", ".join(each.name for each in inputs)
    found = f"{len(inputs)} inputs ({names})" if inputs else "no input"
    raise ImportModelError(f"{file}: has {found}. Only models of one image are supported.")


def _type(found: Any, file: Path) -> str:
    import onnx

    if found.type.WhichOneof("value") != "tensor_type":
        raise ImportModelError(f"{file}: its input {found.name!r} is not a tensor of images.")
    try:
        kind = str(onnx.helper.tensor_dtype_to_np_dtype(found.type.tensor_type.elem_type))
    except (KeyError, TypeError):
        kind = "of no known type"
    kind = "text" if kind == "object" else kind
    if kind not in TYPES:
        raise ImportModelError(
            f"{file}: its input {found.name!r} is {kind}, not images ({', '.join(TYPES)})."
        )
    return kind


def _sides(found: Any, file: Path) -> tuple[int | None, ...]:
    """Return the four sizes of an input; None: any."""
    tensor = found.type.tensor_type
    if not tensor.HasField("shape"):
        return (None, None, None, None)
    sides = tuple(
        int(side.dim_value) if side.WhichOneof("value") == "dim_value" else None
        for side in tensor.shape.dim
    )
    sides = tuple(None if side is not None and side <= 0 else side for side in sides)
    if len(sides) != 4 or (None not in sides and 3 not in (sides[1], sides[3])):
        raise ImportModelError(
            f"{file}: its input {found.name!r} has shape ({_words(sides)}), not that of RGB images "
            "(batch, 3, height, width) or (batch, height, width, 3)."
        )
    return sides


def _words(sides: tuple[int | None, ...]) -> str:
    return ", ".join("any" if side is None else str(side) for side in sides)


def _size(sides: tuple[int | None, ...], layout: str | None, name: str, file: Path) -> int | None:
    """Return height and width if they are fixed."""
    if layout is None:
        return None
    channels = sides[1] if layout == "NCHW" else sides[3]
    height, width = sides[2:] if layout == "NCHW" else sides[1:3]
    if channels not in (3, None):
        raise ImportModelError(
            f"{file}: its input {name!r} has {channels} channels, and images have 3: RGB."
        )
    if height != width:
        raise ImportModelError(
            f"{file}: its input {name!r} takes images of {height or 'any'} x {width or 'any'} "
            "pixels (height x width). Only squares are supported."
        )
    return height


def _layout(sides: tuple[int | None, ...], chain: list[tuple[Any, Any]]) -> str | None:
    first, last = sides[1] == 3, sides[3] == 3
    if first != last:
        return "NCHW" if first else "NHWC"
    for node, _ in chain:
        if node.op_type == "Transpose":
            order = next((tuple(a.ints) for a in node.attribute if a.name == "perm"), ())
            return _FIRST.get(order)
        if node.op_type == "Conv":  # ONNX knows no other order of axes
            return "NCHW"
    return None


def _chain(graph: Any, name: str) -> Iterator[tuple[Any, NDArray[Any] | None]]:
    """Yield the layers behind the input, each with its constant, up to the first other layer."""
    constants = _constants(graph)
    for _ in range(_LONGEST):
        users = [n for n in graph.node if name in n.input and n.op_type != "Shape"]
        if len(users) != 1 or not users[0].output:
            return
        node = users[0]
        others = [each for each in node.input if each != name]
        value = constants.get(others[0]) if len(others) == 1 else None
        yield node, value
        arithmetic = node.op_type in ("Sub", "Add", "Mul", "Div") and value is not None
        if not arithmetic and node.op_type not in _PASSING:
            return
        name = node.output[0]


def _constants(graph: Any) -> dict[str, NDArray[Any] | None]:
    """Return the constants of a graph by name; None in place of larger ones than three values."""
    found = {tensor.name: _small(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            found[node.output[0]] = None
            for a in node.attribute:
                values = {"value_float": [a.f], "value_floats": a.floats, "value_int": [a.i]}
                made = _small(a.t) if a.name == "value" else values.get(a.name)
                if made is not None and len(made) in (1, 3):
                    found[node.output[0]] = np.asarray(made, np.float64)
    return found


def _small(tensor: Any) -> NDArray[Any] | None:
    import onnx

    if int(np.prod(tuple(tensor.dims), dtype=np.float64)) not in (1, 3):
        return None
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor), np.float64).ravel()
    except (ValueError, TypeError, KeyError):
        return None


def _pixels(graph: Any, chain: list[tuple[Any, NDArray[Any] | None]]) -> str | None:
    """Return which pixels a graph takes that scales its input itself."""
    scale, shift, counted, constants = 1.0, 0.0, False, _constants(graph)
    for node, value in chain:
        if value is None or node.op_type not in ("Sub", "Add", "Mul", "Div"):
            continue
        if node.op_type in ("Sub", "Div") and node.input[0] in constants:
            return None  # constant - x, constant / x
        amount = float(np.mean(value))
        if node.op_type in ("Mul", "Div"):
            factor = amount if node.op_type == "Mul" else (1 / amount if amount else 0.0)
            scale, shift = scale * factor, shift * factor
        else:
            shift += amount if node.op_type == "Add" else -amount
        counted = True
    if not counted or not np.isfinite(scale) or scale <= 0:
        return None
    if scale <= _MOST_BYTES_SCALE or abs(shift / scale) >= _BYTES_SHIFT:
        return "bytes"
    return "unit" if scale >= _LEAST_UNIT_SCALE else None
