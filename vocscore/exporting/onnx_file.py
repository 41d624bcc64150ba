"""ONNX: writes a model as one file, and runs it in ONNX Runtime."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vocscore.errors import ExportError
from vocscore.exporting.names import INPUT, OUTPUT, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vocscore.exporting.base import Run
    from vocscore.exporting.exported_model import ExportedModel

NEEDED = ("onnx", "onnxscript", "onnxruntime")
LARGEST = 2**31
"""Bytes; the size limit of protocol buffers, the file's encoding."""


def require() -> None:
    """Raise an error if packages of the extra are missing.

    Raises:
        ExportError: one is not installed.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ExportError(
            f"an ONNX file needs {', '.join(missing)}, not installed here. "
            "pip install 'vocscore[export]', or write OpenVINO's format with `output='FILE.xml'`."
        )


def write(model: ExportedModel, file: Path, facts: Mapping[str, Any]) -> None:
    """Write a model as one ONNX file; it accepts batches of any size.

    Args:
        model: pixels -> probabilities.
        file: the name of the new file.
        facts: plain values for the file's `metadata_props`: text unchanged, others as JSON.

    Raises:
        ExportError: it is too large, or torch cannot convert one of its layers to ONNX.
        OSError: the file cannot be written.
    """
    import torch

    weights = sum(value.nbytes for value in model.state_dict().values())
    if weights >= LARGEST:
        raise ExportError(
            f"{weights / 2**30:.1f} GiB of weights: the limit of an ONNX file is 2 GiB. Write "
            "OpenVINO's format with `output='FILE.xml'`."
        )
    images = torch.export.Dim("pictures")
    try:
        with torch.no_grad():
            program = torch.onnx.export(
                model,
                (model.example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={INPUT: {0: images}},
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[0]
        raise ExportError(
            f"torch cannot write this network as ONNX ({reason}). Write OpenVINO's format with "
            "`output='FILE.xml'`."
        ) from error
    assert program is not None  # only the old exporter returned None
    program.model.metadata_props.update(as_text(facts))
    program.save(file, external_data=False)


def runner(file: Path) -> Run:
    """Open an ONNX file in ONNX Runtime, on the CPU."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # As bytes: ONNX Runtime cannot open paths that are not UTF-8.
    session = onnxruntime.InferenceSession(
        file.read_bytes(), options, providers=["CPUExecutionProvider"]
    )

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run([OUTPUT], {INPUT: pixels})[0]
        return found

    return run
