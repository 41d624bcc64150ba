"""Opens a runtime for a checkpoint, a network in memory, or a backbone."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from vocscore.device import Device, parse_precision
from vocscore.models.checkpoint_files import take
from vocscore.runtime.compile_cache import cache_key, load_or_compile
from vocscore.runtime.int8 import quantized
from vocscore.runtime.openvino import (
    GRAPH,
    OpenVinoRuntime,
    compile_model,
    convert,
    core,
    dump,
    load,
    read_model,
    shape_for,
)
from vocscore.runtime.proven_int8 import FORMAT, compile_proven, dump_proven, load_proven

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from vocscore.device import Precision
    from vocscore.models.card import ModelCard
    from vocscore.models.checkpoint_files import CheckpointFiles
    from vocscore.models.network import Network
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.runtime.base import Runtime
    from vocscore.runtime.openvino import Shape
    from vocscore.runtime.proven_int8 import ProvenModel


def open_checkpoint(
    folder: Path, *, identity: str, device: Device | str, precision: str, group: int
) -> tuple[Runtime, ModelCard]:
    """Prepare a checkpoint for scoring.

    On a CPU the compiled model is cached, so that the network is not built the next time.

    Args:
        folder: folder of the checkpoint.
        identity: its hash when it was chosen; see `take`.
        device: the CPU, or a GPU with its number; or its name.
        precision: as returned by `resolve_precision`.
        group: images in a full batch.

    Raises:
        CheckpointError: it is damaged, or was replaced after it was chosen.
        DeviceError: OpenVINO is missing, or does not compute int8 correctly.
    """
    device, arithmetic = Device.parse(device), parse_precision(precision)
    files = take(folder, identity=identity)
    if device.is_gpu and files.card.onnx is not None:
        from vocscore.runtime.onnx_cuda import open_on_gpu

        return open_on_gpu(files, device=device, precision=arithmetic), files.card
    if device.is_gpu:
        network, card = _network(files), files.card
        runtime = open_runtime(network, card, device=device, precision=arithmetic, group=group)
        return runtime, card
    return _open_cached(files, precision=arithmetic, group=group), files.card


def _open_cached(files: CheckpointFiles, *, precision: Precision, group: int) -> Runtime:
    """Prepare a checkpoint for scoring on the CPU; compile it unless it is cached."""
    shape = shape_of(files.card, precision=precision, group=group)
    if precision == "int8":
        return _open_int8(files, shape=shape)

    def restore(blob: bytes) -> Any:
        files.release()
        return load(blob, shape=shape)

    compiled = load_or_compile(
        cache_key(_facts(files.identity, shape)),
        load=restore,
        make=lambda: compile_model(converted(files, shape=shape), shape=shape),
        dump=dump,
    )
    return OpenVinoRuntime(compiled, shape=shape, finish=_finish(files.card))


def _open_int8(files: CheckpointFiles, *, shape: Shape) -> Runtime:
    """Prepare a checkpoint's quantized network; what is cached is checked each time."""
    file, name = quantized(files.folder, identity=files.identity)
    files.release()
    model: ProvenModel = load_or_compile(
        cache_key({**_facts(name, shape), "proven": FORMAT}),
        load=partial(load_proven, shape=shape),
        make=lambda: compile_proven(read_model(file, shape=shape), shape=shape),
        dump=dump_proven,
    )
    return OpenVinoRuntime(model.streams, shape=shape, finish=_finish(files.card))


def open_runtime(
    network: Network,
    card: ModelCard,
    *,
    device: Device | str,
    precision: Precision = "float32",
    group: int = 32,
) -> Runtime:
    """Prepare a network in memory for scoring.

    Args:
        network: modified in place: moved to the device and set to evaluation mode.
        card: has its preprocessing, classes, temperature and activation.
        device: the CPU, or a GPU with its number; or its name.
        precision: 'float32' or 'bf16'.
        group: images in a full batch; batches of other sizes are scored too, but not as fast.
    """
    device = Device.parse(device)
    if not device.is_gpu:
        shape = shape_of(card, precision=precision, group=group)
        return open_graph(convert(network.eval(), card.preprocess, shape=shape), card, shape=shape)
    from vocscore.runtime.cuda import CudaRuntime

    return CudaRuntime(
        network,
        preprocess=card.preprocess,
        classes=len(card.classes),
        device=device,
        precision=precision,
        batch_size=group,
        temperature=card.temperature,
        activation=card.activation,
    )


def open_graph(graph: Any, card: ModelCard, *, shape: Shape) -> Runtime:
    """Prepare the graph of a checkpoint's network, from `convert` or NNCF, for scoring.

    Raises:
        DeviceError: the precision is int8, and OpenVINO does not compute the right numbers.
    """
    int8 = shape.precision == "int8"
    compiled = (
        compile_proven(graph, shape=shape).streams if int8 else compile_model(graph, shape=shape)
    )
    return OpenVinoRuntime(compiled, shape=shape, finish=_finish(card))


def open_backbone(
    backbone: nn.Module, preprocess: Preprocess, *, precision: Precision, group: int
) -> Runtime:
    """Prepare a frozen backbone for computing features on the CPU.

    Args:
        backbone: normalized float32 images (N, 3, S, S) -> features (N, F); set to evaluation
            mode.
        preprocess: its preprocessing.
        precision: 'float32' or 'bf16'.
        group: images in a full batch.

    Returns:
        A runtime whose results are features, float32, (N, F).
    """
    shape = shape_for(
        group=group, size=preprocess.size, precision=precision, cores=torch.get_num_threads()
    )
    graph = convert(backbone.eval(), preprocess, shape=shape)
    return OpenVinoRuntime(compile_model(graph, shape=shape), shape=shape)


def shape_of(card: ModelCard, *, precision: Precision, group: int) -> Shape:
    """Return the shape for which a checkpoint's network is compiled in this process."""
    # torch's number of threads, not the machine's: a worker process has a share of the cores
    cores = torch.get_num_threads()
    if card.onnx is not None and card.onnx.batch is not None:
        group = card.onnx.batch
    return shape_for(group=group, size=card.preprocess.size, precision=precision, cores=cores)


def _network(files: CheckpointFiles) -> Network:
    from vocscore.models.checkpoint import load_network  # imports torchvision, which takes seconds

    return load_network(files)


def converted(files: CheckpointFiles, *, shape: Shape) -> Any:
    """Convert the network of a checkpoint, or its ONNX file.

    Returns:
        An `openvino.Model`: uint8 (group, S, S, 3) -> float32 (group, F).

    Raises:
        CheckpointError: the checkpoint is damaged.
    """
    if files.card.onnx is not None:
        from vocscore.runtime.onnx_openvino import convert_checkpoint

        return convert_checkpoint(files, shape=shape)
    return convert(_network(files), files.card.preprocess, shape=shape)


def _finish(card: ModelCard) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    def finish(logits: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = card.probabilities(torch.from_numpy(logits)).numpy()
        return found

    return finish


def _facts(identity: str, shape: Shape) -> dict[str, Any]:
    """Return everything that a compiled model depends on."""
    processor = core().get_property("CPU", "FULL_DEVICE_NAME")
    import openvino

    return {
        "graph": GRAPH,
        "checkpoint": identity,
        "openvino": openvino.get_version(),
        "processor": processor,
        **asdict(shape),
    }
