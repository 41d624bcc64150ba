"""A whole network as an ONNX file, and ONNX Runtime to run it."""

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

    from vocscore.exporting.formats import Run
    from vocscore.exporting.whole import Whole

NEEDED = ("onnx", "onnxscript", "onnxruntime")
LARGEST = 2**31
"""Bytes of one file, which is a protocol buffer."""


def require() -> None:
    """Refuse to begin without the packages of the extra.

    Raises:
        ExportError: one is not installed.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ExportError(
            f"an ONNX file needs {', '.join(missing)}, not installed here. "
            "pip install 'vocscore[export]', or write OpenVINO's format with -o FILE.xml."
        )


def write(whole: Whole, file: Path, facts: Mapping[str, Any]) -> None:
    """Write a network as one ONNX file, with any number of images a batch.

    Args:
        whole: pixels -> probabilities.
        file: the name of the new file.
        facts: plain values, kept in the file's `metadata_props`: text as it is, others as JSON.

    Raises:
        ExportError: it is too large, or torch knows no ONNX for one of its layers.
        OSError: the file cannot be written.
    """
    import torch

    weights = sum(value.nbytes for value in whole.state_dict().values())
    if weights >= LARGEST:
        raise ExportError(
            f"{weights / 2**30:.1f} GiB of weights: an ONNX file holds 2. Write OpenVINO's format "
            "with -o FILE.xml."
        )
    images = torch.export.Dim("pictures")
    try:
        with torch.no_grad():
            program = torch.onnx.export(
                whole,
                (whole.example,),
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
            "-o FILE.xml."
        ) from error
    assert program is not None  # None is what the old exporter returned
    program.model.metadata_props.update(as_text(facts))
    program.save(file, external_data=False)


def runner(file: Path) -> Run:
    """Open an ONNX file in ONNX Runtime, on the CPU."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Not by its name, which may be no text to it.
    session = onnxruntime.InferenceSession(
        file.read_bytes(), options, providers=["CPUExecutionProvider"]
    )

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run([OUTPUT], {INPUT: pixels})[0]
        return found

    return run
