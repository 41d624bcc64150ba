"""Runs an ONNX file in ONNX Runtime: the original that a run is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import ImportModelError
from vocscore.importing.onnx_file import nodes, serialized, tensors

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from vocscore.importing.imported import Original
    from vocscore.models.onnx_signature import OnnxSignature
    from vocscore.pipeline.preprocess import Preprocess


def original_of(
    model: Any, signature: OnnxSignature, preprocess: Preprocess, *, fixed: int | None, file: Path
) -> Original:
    """Open a model in ONNX Runtime, on the CPU.

    Args:
        model: an `onnx.ModelProto` as its authors wrote it.
        signature: its input and output.
        preprocess: normalizes images, unless the model takes bytes.
        fixed: images per call, if the file says so.
        file: for messages.

    Returns:
        Images, uint8 (N, 3, S, S) -> the output, float32 (N, C).

    Raises:
        ImportModelError: ONNX Runtime cannot open it.
    """
    session = _session(in_float32(model) if other_floats(model) else model, file)
    kind = session.get_inputs()[0].type.removeprefix("tensor(").removesuffix(")")
    kind = {"float": "float32", "double": "float64"}.get(kind, kind)

    def run(images: torch.Tensor) -> NDArray[np.float32]:
        prepared = images if signature.takes_bytes else preprocess.normalize(images)
        order = (0, 1, 2, 3) if signature.layout == "NCHW" else (0, 2, 3, 1)
        pixels = prepared.permute(order).contiguous().numpy().astype(kind)
        try:
            return _in_steps(session, signature, pixels, fixed or len(pixels))
        except Exception:
            if fixed is not None or len(pixels) == 1:
                raise
            # a batch of any size is promised, but a layer inside has the size of one image
            return _in_steps(session, signature, pixels, 1)

    def checked(images: torch.Tensor) -> NDArray[np.float32]:
        try:
            return run(images)
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise ImportModelError(f"ONNX Runtime cannot run it ({_line(error)}).") from error

    return checked


def _in_steps(
    session: Any, signature: OnnxSignature, pixels: NDArray[Any], step: int
) -> NDArray[np.float32]:
    found = []
    for start in range(0, len(pixels), step):
        part = pixels[start : start + step]
        blank = np.zeros((step - len(part), *part.shape[1:]), part.dtype)
        (output,) = session.run(
            [signature.output], {signature.input: np.concatenate([part, blank])}
        )
        found.append(np.asarray(output, np.float32).reshape(step, -1)[: len(part)])
    return np.concatenate(found)


def _session(model: Any, file: Path) -> Any:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    # Its own changes of a graph are left out as far as they could change a result.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        return onnxruntime.InferenceSession(
            serialized(model, file), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise ImportModelError(f"{file}: ONNX Runtime cannot open it ({_line(error)}).") from error


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(" : ")[-1].strip().rstrip(".")


def other_floats(model: Any) -> str:
    """Return 'float16' or 'float64' if a model computes in it; else ''."""
    import onnx

    used = {each.type.tensor_type.elem_type for each in model.graph.input}
    used |= {tensor.data_type for tensor in tensors(model)}
    names = {onnx.TensorProto.FLOAT16: "float16", onnx.TensorProto.DOUBLE: "float64"}
    return next((name for kind, name in names.items() if kind in used), "")


def in_float32(model: Any) -> Any:
    """Return a copy of a model whose float16 and float64 numbers are float32, as OpenVINO computes.

    In float16, ONNX Runtime on a CPU rounds between layers; in float64 it lacks convolutions.
    """
    import onnx

    others = (onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    single = onnx.TensorProto.FLOAT
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    for tensor in tensors(copied):
        if tensor.data_type in others:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            name = tensor.name
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, name))
    for node in nodes(copied):
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype") and attribute.i in others:
                attribute.i = single
    graph = copied.graph
    for each in (*graph.input, *graph.output, *graph.value_info):
        if each.type.tensor_type.elem_type in others:
            each.type.tensor_type.elem_type = single
    return copied
