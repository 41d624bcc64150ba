"""A whole network in OpenVINO's format: a graph (.xml) and its weights (.bin)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from vocscore.exporting.names import INPUT, OUTPUT, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vocscore.exporting.formats import Run
    from vocscore.exporting.whole import Whole

RT_INFO = "vocscore"
"""Under which the facts stand in the graph's rt_info."""


def require() -> None:
    """Refuse to begin without OpenVINO.

    Raises:
        DeviceError: it is not installed, or its installation is broken.
    """
    from vocscore.runtime.openvino import core

    core()


def write(whole: Whole, file: Path, facts: Mapping[str, Any]) -> None:
    """Write a network as `file` (.xml) and a .bin beside it, with any number of images a batch.

    Args:
        whole: pixels -> probabilities.
        file: the name of the new file.
        facts: plain values, kept in the graph's rt_info: text as it is, others as JSON.

    Raises:
        OSError: the files cannot be written.
    """
    import openvino
    import torch

    example = whole.example
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's tracer, which OpenVINO calls, is deprecated
        model = openvino.convert_model(whole, example_input=example, input=[-1, *example.shape[1:]])
    model.inputs[0].get_tensor().set_names({INPUT})
    model.outputs[0].get_tensor().set_names({OUTPUT})
    for name, text in as_text(facts).items():
        model.set_rt_info(text, [RT_INFO, name])
    openvino.save_model(model, file, compress_to_fp16=False)


def runner(file: Path) -> Run:
    """Open a graph on the CPU, in float32."""
    import torch

    from vocscore.runtime.openvino import core

    compiled = core().compile_model(
        file,
        "CPU",
        # without the hint, processors that compute in bf16 do
        {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(torch.get_num_threads())},
    )

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = compiled({INPUT: pixels})[OUTPUT].copy()
        return found

    return run
