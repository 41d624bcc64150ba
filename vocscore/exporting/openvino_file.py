"""OpenVINO's format: a graph (.xml) and its weights (.bin)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from vocscore.exporting.names import INPUT, OUTPUT, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vocscore.exporting.base import Run
    from vocscore.exporting.exported_model import ExportedModel
    from vocscore.exporting.exported_onnx import ExportedOnnx

RT_INFO = "vocscore"
"""The section of the graph's rt_info that holds the facts."""


def require() -> None:
    """Raise an error if OpenVINO is missing.

    Raises:
        DeviceError: it is not installed, or its installation is broken.
    """
    from vocscore.runtime.openvino import core

    core()


def write(model: ExportedModel | ExportedOnnx, file: Path, facts: Mapping[str, Any]) -> None:
    """Write a model as `file` (.xml) and a .bin beside it; it accepts batches of any size.

    Args:
        model: pixels -> probabilities.
        file: the name of the new file.
        facts: plain values for the graph's rt_info: text unchanged, others as JSON.

    Raises:
        OSError: the files cannot be written.
    """
    import openvino

    graph = _graph(model)
    graph.inputs[0].get_tensor().set_names({INPUT})
    graph.outputs[0].get_tensor().set_names({OUTPUT})
    for name, text in as_text(facts).items():
        graph.set_rt_info(text, [RT_INFO, name])
    openvino.save_model(graph, file, compress_to_fp16=False)


def _graph(model: ExportedModel | ExportedOnnx) -> Any:
    import openvino
    import torch

    from vocscore.exporting.exported_onnx import ExportedOnnx

    if isinstance(model, ExportedOnnx):
        return model.graph()
    example = model.example
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's tracer, which OpenVINO calls, is deprecated
        return openvino.convert_model(model, example_input=example, input=[-1, *example.shape[1:]])


def runner(file: Path) -> Run:
    """Open a graph on the CPU, in float32."""
    import torch

    from vocscore.runtime.openvino import core

    compiled = core().compile_model(
        file,
        "CPU",
        # without the hint, processors with bf16 instructions compute in bf16
        {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(torch.get_num_threads())},
    )

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = compiled({INPUT: pixels})[OUTPUT].copy()
        return found

    return run
