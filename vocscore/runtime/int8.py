"""Quantizes a checkpoint's network to 8-bit integers, and handles its files in the checkpoint.

NNCF's post-training quantization; Nagel et al., 'A White Paper on Neural Network Quantization',
arXiv:2106.08295.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import shlex
import shutil
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from shards import atomic
from shards.files import read_regular
from vocscore import caches
from vocscore.device import Device
from vocscore.errors import CheckpointError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

FOLDER, MODEL, REPORT = "int8", "model.xml", "report.json"

PRESETS = ("performance", "precise")
"""The fastest first. 'performance' is NNCF's. 'precise' is NNCF's 'mixed', whose ranges need not be
symmetric around 0, with the first layer in float32: its errors pass through all the others.
EfficientNet-Lite0's largest difference falls from 0.031 to 0.009 by that."""
_LAYERS = ("Convolution", "GroupConvolution", "MatMul")


def quantize(graph: Any, batches: Sequence[NDArray[np.uint8]], *, preset: str) -> Any:
    """Quantize a graph.

    Args:
        graph: an `openvino.Model`, uint8 (group, S, S, 3) -> float32 (group, F); not changed.
        batches: images for the calibration of the ranges, each (group, S, S, 3).
        preset: one of `PRESETS`.

    Returns:
        An `openvino.Model` of the same signature.

    Raises:
        CheckpointError: NNCF is not installed, or its installation is broken.
    """
    # Importing NNCF searches for a CUDA compiler, and logs a warning if there is none.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    try:
        with caches.some_home():
            import nncf
    except ImportError as error:
        raise CheckpointError(
            f"quantizing needs NNCF, which cannot be loaded ({error}). "
            "Install it: pip install 'vocscore[int8]'"
        ) from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    precise = preset == "precise"
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        return nncf.quantize(
            graph.clone(),
            nncf.Dataset(list(batches)),
            preset=nncf.QuantizationPreset("mixed" if precise else preset),
            ignored_scope=nncf.IgnoredScope(names=_first_layer(graph)) if precise else None,
            subset_size=len(batches),
            # slower than the fast correction of single layers, but done only once
            fast_bias_correction=False,
        )


def _first_layer(graph: Any) -> list[str]:
    layers = (op for op in graph.get_ordered_ops() if op.get_type_name() in _LAYERS)
    return [layer.get_friendly_name() for layer in islice(layers, 1)]


def check_kind(kind: str) -> None:
    """Check that a device supports int8.

    Args:
        kind: 'auto', 'cpu' or 'cuda'.

    Raises:
        DeviceError: it is a GPU.
    """
    if Device.parse(kind).is_gpu:
        raise DeviceError(
            "`precision='int8'` runs on the CPU only. Use `device='cpu'`, or `precision='bf16'`."
        )


def write(folder: Path, graph: Any, *, identity: str, report: Mapping[str, Any]) -> None:
    """Write a quantized graph into its checkpoint's folder, in place of an earlier one.

    Args:
        folder: folder of the checkpoint.
        graph: as returned by `quantize`.
        identity: hash of the checkpoint.
        report: plain values: its source and its measured quality.
    """
    import openvino

    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    (folder / FOLDER).mkdir()
    model = folder / FOLDER / MODEL
    openvino.save_model(_numbered(graph), model, compress_to_fp16=False)
    digest = hashlib.sha256(model.read_bytes() + model.with_suffix(".bin").read_bytes())
    written = {"checkpoint": identity, "sha256": digest.hexdigest(), **report}
    # last: the quantized model is valid only with its report
    atomic.write(folder / FOLDER / REPORT, (json.dumps(written, indent=2) + "\n").encode())


def _numbered(graph: Any) -> Any:
    """Name the layers by their place: OpenVINO's names count all layers that the process made.

    So a model that is quantized again has the same bytes, and the same hash.
    """
    named = graph.clone()
    for number, layer in enumerate(named.get_ordered_ops()):
        layer.set_friendly_name(f"{layer.get_type_name()}_{number}")
        for output in layer.outputs():
            output.get_tensor().set_names(set())
    return named


@dataclass(frozen=True, slots=True)
class Quantized:
    """The quantized model of a checkpoint.

    Attributes:
        file: in OpenVINO's format.
        sha256: of its bytes.
        made_from: hash of the checkpoint.
        images: number of images that it was compared with float32 on; 0: the report does not say.
        largest: largest difference of a probability on them.
        changed: share of the decisions that differ.
    """

    file: Path
    sha256: str
    made_from: str
    images: int
    largest: float
    changed: float


def has_quantized(folder: Path) -> bool:
    """Whether a checkpoint has a quantized model, usable or not."""
    return (folder / FOLDER / REPORT).exists()


def quantized(folder: Path, *, identity: str, sha256: str | None = None) -> Quantized:
    """Find the quantized model of a checkpoint.

    Args:
        folder: folder of the checkpoint.
        identity: hash of the checkpoint.
        sha256: of the quantized model when it was chosen; None: any.

    Raises:
        CheckpointError: there is none, it was made from other weights, or it was replaced.
    """
    cure = f"Make it with: {shlex.join(['vocscore', 'quantize', str(folder)])}"
    try:
        report = json.loads(read_regular(folder / FOLDER / REPORT))
        made_from, digest = report["checkpoint"], str(report["sha256"])
        told = {name: float(report.get(name, 0)) for name in ("pictures", "largest", "changed")}
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder}: has no int8 model. {cure}") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{folder / FOLDER / REPORT}: damaged ({error}). {cure}") from error
    if made_from != identity:
        raise CheckpointError(f"{folder}: its int8 model was made from other weights. {cure}")
    if sha256 not in (None, digest):
        raise CheckpointError(
            f"{folder}: its int8 model was replaced while it was in use. Finished units are kept: "
            "put the old one back to continue with them."
        )
    model = folder / FOLDER / MODEL
    for file in (model, model.with_suffix(".bin")):
        if file.exists() and not file.is_file():  # OpenVINO would block on a FIFO
            raise CheckpointError(f"{file}: not a file. {cure}")
    return Quantized(
        model, digest, identity, int(told["pictures"]), told["largest"], told["changed"]
    )
