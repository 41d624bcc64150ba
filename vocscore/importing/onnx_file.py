"""Reads an ONNX file; weights in other files become part of it, if these lie beside it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from shards.files import read_regular
from vocscore.errors import ImportModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST = 2**31
"""Bytes; the size limit of protocol buffers, the file's encoding."""
NEEDED = ("onnx", "onnxruntime")
_NOT_ONNX = "truncated, or not a model in ONNX. Copy it again."
_QUANTIZED = ("Quantize", "QLinear", "Integer", "QAttention", "QGemm", "MatMulNBits")
"""Parts of the names of layers in 8-bit and smaller integers."""


def require() -> None:
    """Raise an error if a package is missing.

    Raises:
        ImportModelError: one is not installed.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ImportModelError(
            f"importing a model in ONNX needs {' and '.join(missing)}, not installed here. "
            "pip install 'vocscore[export]'."
        )


def read_onnx_file(file: Path) -> Any:
    """Read an ONNX file without running anything.

    Returns:
        An `onnx.ModelProto` without references to other files.

    Raises:
        ImportModelError: it is not an ONNX file, is damaged or too large, is quantized, or refers
            to a file that is missing, damaged, or outside its own folder.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        if file.stat().st_size >= LARGEST:
            raise _too_large(file)
        data = read_regular(file)
    except OSError as error:
        raise ImportModelError(f"{file}: {error.strerror}. Name a model in ONNX.") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise ImportModelError(f"{file}: {_NOT_ONNX}") from error
    if not model.graph.node or not model.graph.output:
        raise ImportModelError(f"{file}: {_NOT_ONNX}")
    _refuse_quantized(model, file)
    _include_external(model, file)
    return model


def serialized(model: Any, file: Path) -> bytes:
    """Return the bytes of a model.

    Raises:
        ImportModelError: there are too many.
    """
    if model.ByteSize() >= LARGEST:
        raise _too_large(file)
    return bytes(model.SerializeToString())


def _too_large(file: Path) -> ImportModelError:
    return ImportModelError(
        f"{file}: 2 GiB or more, the limit of an ONNX file in one piece. Convert it to float16."
    )


def _refuse_quantized(model: Any, file: Path) -> None:
    for node in nodes(model):
        if any(part in node.op_type for part in _QUANTIZED):
            raise ImportModelError(
                f"{file}: quantized (it has a layer {node.op_type}). Import the model in float32 "
                "or float16, then use 'vocscore quantize', which measures what changes."
            )


def _include_external(model: Any, file: Path) -> None:
    """Read the values that are in other files, in place."""
    import onnx

    kept: dict[str, bytes] = {}
    total = file.stat().st_size
    for tensor in tensors(model):
        told = {entry.key: entry.value for entry in tensor.external_data}
        if not told and tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        location = told.get("location", "")
        if location not in kept:
            found = _beside(file, location, tensor.name)
            total += found.stat().st_size
            if total >= LARGEST:
                raise _too_large(file)
            kept[location] = _read(file, found)
        tensor.raw_data = _part(kept[location], told, tensor, file=file)
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _beside(file: Path, location: str, name: str) -> Path:
    """Return the path of a file in the model's own folder."""
    inside = PurePosixPath(location)
    outside = inside.is_absolute() or ".." in inside.parts or "\\" in location or ":" in location
    if not location or "\0" in location or outside:
        raise ImportModelError(
            f"{file}: takes the weights {name!r} from {location!r}, which is outside its own "
            "folder. Only files in that folder are read."
        )
    path = file.parent
    for part in inside.parts:
        path = path / part
        if path.is_symlink():
            raise ImportModelError(
                f"{file}: takes the weights {name!r} from {location!r}, which is a link. Copy the "
                "files themselves into one folder."
            )
    if not path.is_file():
        raise ImportModelError(
            f"{file}: takes the weights {name!r} from {location!r}, which is not there. Copy it "
            "into the same folder."
        )
    return path


def _read(file: Path, found: Path) -> bytes:
    try:
        return read_regular(found)
    except OSError as error:
        raise ImportModelError(f"{file}: {found}: {error.strerror}.") from error


def _part(data: bytes, told: dict[str, str], tensor: Any, *, file: Path) -> bytes:
    """Return the bytes of one tensor."""
    import math

    import onnx

    try:
        item = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        needed = math.prod(tensor.dims) * item
        offset = int(told.get("offset", 0))
        length = int(told.get("length", needed))
    except (KeyError, TypeError, ValueError) as error:
        raise ImportModelError(f"{file}: the weights {tensor.name!r} are damaged.") from error
    if min(offset, length) < 0 or length != needed or offset + length > len(data):
        raise ImportModelError(
            f"{file}: {told.get('location')} is truncated or of another model: it does not hold "
            f"the weights {tensor.name!r}. Copy it again."
        )
    return data[offset : offset + length]


def nodes(model: Any) -> Iterator[Any]:
    """Yield every layer of a model, those of functions and inner graphs included."""
    for graph in _graphs(model):
        yield from graph.node


def tensors(model: Any) -> Iterator[Any]:
    """Yield every tensor of a model: weights and constants, of inner graphs too."""
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from _inside(attribute)


def _inside(attribute: Any) -> Iterator[Any]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    singles = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
    for sparse in (*singles, *attribute.sparse_tensors):
        yield from (sparse.values, sparse.indices)


def _graphs(model: Any) -> Iterator[Any]:
    """Yield the graph, inner graphs and functions."""
    waiting = [model.graph, *model.functions]
    for training in model.training_info:
        waiting += [training.initialization, training.algorithm]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.HasField("g") else []
                waiting += attribute.graphs
