"""Opens a runtime for a checkpoint, a network in memory, or a backbone."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from vocscore.device import Device, parse_precision
from vocscore.errors import CheckpointError
from vocscore.models.checkpoint_files import take
from vocscore.runtime.asked import Asked
from vocscore.runtime.compile_cache import cache_key, load_or_compile
from vocscore.runtime.features import Joined, WithFeatures
from vocscore.runtime.finishing import finish_of
from vocscore.runtime.int8 import quantized
from vocscore.runtime.openvino import (
    GRAPH,
    OpenVinoRuntime,
    compile_model,
    core,
    dump,
    load,
    read_model,
    shape_for,
)
from vocscore.runtime.openvino_graph import convert
from vocscore.runtime.proven_int8 import FORMAT, compile_proven, dump_proven, load_proven

if TYPE_CHECKING:
    from pathlib import Path

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
    files = take(folder, identity=identity)
    return open_files(
        files, Asked(Device.parse(device), parse_precision(precision), group)
    ), files.card


def open_files(files: CheckpointFiles, asked: Asked) -> Runtime:
    """Prepare a checkpoint whose files were read; see `open_checkpoint`.

    Raises:
        CheckpointError: as for `open_checkpoint`; or the network does not accept the size.
        DeviceError: as for `open_checkpoint`.
    """
    card = files.card
    if asked.size is not None:
        card = replace(card, preprocess=replace(card.preprocess, size=asked.size))
    if card.onnx is not None and asked.features:
        raise CheckpointError(f"{files.folder}: an ONNX model, which has no separate features.")
    if not asked.device.is_gpu:
        return _open_cached(files, card, asked)
    if card.onnx is not None:
        from vocscore.runtime.onnx_cuda import open_on_gpu

        return open_on_gpu(files, card, asked)
    return open_runtime(
        _network(files, card),
        card,
        device=asked.device,
        precision=asked.precision,
        group=asked.group,
        features=asked.features,
        logits=asked.logits,
    )


def _open_cached(files: CheckpointFiles, card: ModelCard, asked: Asked) -> Runtime:
    """Prepare a checkpoint for scoring on the CPU; compile it unless it is cached."""
    shape = shape_of(card, precision=asked.precision, group=asked.group)
    if asked.precision == "int8":
        return _open_int8(files, asked, shape=shape)

    def restore(blob: bytes) -> Any:
        files.release()
        return load(blob, shape=shape)

    def made() -> Any:
        if not asked.features:
            return converted(files, card, shape=shape)
        module = WithFeatures(_network(files, card)).eval()
        return convert(module, card.preprocess, shape=shape)

    outputs = {"features": True} if asked.features else {}
    compiled = load_or_compile(
        cache_key({**_facts(files.identity, shape), **outputs}),
        load=restore,
        make=lambda: compile_model(made(), shape=shape),
        dump=dump,
    )
    width = int(compiled.outputs[1].shape[1]) if asked.features else 0
    finish = None if asked.logits else finish_of(card)
    return OpenVinoRuntime(compiled, shape=shape, finish=finish, features=width)


def _open_int8(files: CheckpointFiles, asked: Asked, *, shape: Shape) -> Runtime:
    """Prepare a checkpoint's quantized network; what is cached is checked each time."""
    found = quantized(files.folder, identity=files.identity, sha256=asked.int8)
    files.release()
    model: ProvenModel = load_or_compile(
        cache_key({**_facts(found.sha256, shape), "proven": FORMAT}),
        load=partial(load_proven, shape=shape),
        make=lambda: compile_proven(read_model(found.file, shape=shape), shape=shape),
        dump=dump_proven,
    )
    finish = None if asked.logits else finish_of(files.card)
    return OpenVinoRuntime(model.streams, shape=shape, finish=finish)


def open_runtime(
    network: Network,
    card: ModelCard,
    *,
    device: Device | str,
    precision: Precision = "float32",
    group: int = 32,
    features: bool = False,
    logits: bool = False,
) -> Runtime:
    """Prepare a network in memory for scoring.

    Args:
        network: modified in place: moved to the device and set to evaluation mode.
        card: has its preprocessing, classes, temperature and activation.
        device: the CPU, or a GPU with its number; or its name.
        precision: 'float32' or 'bf16'.
        group: images in a full batch; batches of other sizes are scored too, but not as fast.
        features: as for `Asked`; only on a GPU, like `logits`.
        logits: as for `Asked`.
    """
    device = Device.parse(device)
    if not device.is_gpu:
        shape = shape_of(card, precision=precision, group=group)
        return open_graph(convert(network.eval(), card.preprocess, shape=shape), card, shape=shape)
    from vocscore.runtime.cuda import CudaRuntime

    return CudaRuntime(
        Joined(network) if features else network,
        preprocess=card.preprocess,
        classes=len(card.classes),
        device=device,
        precision=precision,
        batch_size=group,
        temperature=None if logits else card.temperature,
        features=features,
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
    return OpenVinoRuntime(compiled, shape=shape, finish=finish_of(card))


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


def converted(files: CheckpointFiles, card: ModelCard, *, shape: Shape) -> Any:
    """Convert the network of a checkpoint, or its ONNX file.

    Args:
        files: the checkpoint.
        card: its card, maybe for images of another size.
        shape: its group and size are used.

    Returns:
        An `openvino.Model`: uint8 (group, S, S, 3) -> float32 (group, F).

    Raises:
        CheckpointError: it is damaged, or does not accept the size.
    """
    if card.onnx is not None:
        from vocscore.runtime.onnx_openvino import convert_checkpoint

        return convert_checkpoint(files, card, shape=shape)
    return convert(_network(files, card), card.preprocess, shape=shape)


def _network(files: CheckpointFiles, card: ModelCard) -> Network:
    """Build the network, and try it if it is for another size than its card's.

    Raises:
        CheckpointError: it is damaged, or does not accept the size.
    """
    from vocscore.models.checkpoint import load_network  # imports torchvision, which takes seconds

    network = load_network(files)
    size = card.preprocess.size
    if size == files.card.preprocess.size:
        return network
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise CheckpointError(
            f"{files.folder}: its backbone {card.backbone!r} does not accept {size}x{size} pixels "
            f"({reason}). Omit this size from the views, or name another one."
        ) from error
    return network


def _facts(identity: str, shape: Shape) -> dict[str, Any]:
    """Return everything that a compiled model depends on."""
    return {**machine_facts(identity), **asdict(shape)}


def machine_facts(identity: str) -> dict[str, Any]:
    """Return what every compiled form of a network depends on, and its speed."""
    processor = core().get_property("CPU", "FULL_DEVICE_NAME")
    import openvino

    return {
        "graph": GRAPH,
        "checkpoint": identity,
        "openvino": openvino.get_version(),
        "processor": processor,
    }
