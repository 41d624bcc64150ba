"""From a checkpoint, or a network in memory, to a runtime on a device."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from vocscore.errors import CheckpointError
from vocscore.models.card import checkpoint_hash, load_card
from vocscore.runtime import open_runtime
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

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.runtime import Runtime
    from vocscore.runtime.openvino import Shape


def open_checkpoint(
    folder: Path, *, identity: str, device: str, precision: str, group: int
) -> tuple[Runtime, ModelCard]:
    """Make a checkpoint ready to score.

    On a CPU the compiled model is kept: the next time the weights are not even read.

    Args:
        folder: of the checkpoint.
        identity: its hash when it was chosen.
        device: 'cpu' or 'cuda:N', as `resolve_device` gives it.
        precision: as `resolve_precision` gives it.
        group: images of a full batch.

    Raises:
        CheckpointError: it is damaged, or not what it was.
    """
    if device != "cpu":
        from vocscore.models.checkpoint import load_checkpoint

        network, card = load_checkpoint(folder)
        _check_same(folder, identity)
        runtime = open_runtime(network, card, device=device, precision=precision, group=group)
        return runtime, card
    card = load_card(folder)
    _check_same(folder, identity)
    from vocscore.runtime.kept import kept, key

    shape = shape_of(card, precision=precision, group=group)
    if precision == "int8":
        from vocscore.runtime.int8 import quantized

        file, name = quantized(folder, identity=identity)
        make = partial(read_model, file, shape=shape)
    else:
        name = identity
        make = partial(_converted, folder, identity=identity, shape=shape)
    compiled = kept(
        key(_facts(name, shape)),
        load=partial(load, shape=shape),
        make=lambda: compile_model(make(), shape=shape),
        dump=dump,
    )
    return OpenVinoRuntime(compiled, shape=shape, finish=_finish(card)), card


def open_network(network: Network, card: ModelCard, *, precision: str, group: int) -> Runtime:
    """Make a network in memory ready to score on the CPU; see `vocscore.runtime.open_runtime`."""
    shape = shape_of(card, precision=precision, group=group)
    return open_graph(convert(network.eval(), card.preprocess, shape=shape), card, shape=shape)


def open_graph(graph: Any, card: ModelCard, *, shape: Shape) -> Runtime:
    """Make the graph of a checkpoint's network, as `convert` or NNCF give it, ready to score."""
    return OpenVinoRuntime(compile_model(graph, shape=shape), shape=shape, finish=_finish(card))


def open_backbone(
    backbone: nn.Module, preprocess: Preprocess, *, precision: str, group: int
) -> Runtime:
    """Make a frozen backbone ready to run on the CPU.

    Args:
        backbone: normalized float32 images (N, 3, S, S) -> features (N, F); set to evaluation
            mode.
        preprocess: its input.
        precision: 'float32' or 'bf16'.
        group: images of a full batch.

    Returns:
        A runtime whose results are features, float32, (N, F).
    """
    shape = shape_for(
        group=group, size=preprocess.size, precision=precision, cores=torch.get_num_threads()
    )
    graph = convert(backbone.eval(), preprocess, shape=shape)
    return OpenVinoRuntime(compile_model(graph, shape=shape), shape=shape)


def _converted(folder: Path, *, identity: str, shape: Shape) -> Any:
    from vocscore.models.checkpoint import load_checkpoint

    network, card = load_checkpoint(folder)
    _check_same(folder, identity)
    return convert(network, card.preprocess, shape=shape)


def _check_same(folder: Path, identity: str) -> None:
    """Prove that what was just read is the checkpoint that was chosen, maybe days ago."""
    if checkpoint_hash(folder) != identity:
        raise CheckpointError(
            f"{folder}: replaced while it was in use. Finished units are kept: put the old "
            "checkpoint back to go on with them."
        )


def shape_of(card: ModelCard, *, precision: str, group: int) -> Shape:
    """What a checkpoint's network is compiled for in this process."""
    # torch's number of threads, and not the machine's: a worker process has a share of the cores
    cores = torch.get_num_threads()
    return shape_for(group=group, size=card.preprocess.size, precision=precision, cores=cores)


def _finish(card: ModelCard) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    def finish(logits: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = card.probabilities(torch.from_numpy(logits)).numpy()
        return found

    return finish


def _facts(identity: str, shape: Shape) -> dict[str, Any]:
    """Everything that decides a compiled model."""
    from dataclasses import asdict

    processor = core().get_property("CPU", "FULL_DEVICE_NAME")
    import openvino

    return {
        "graph": GRAPH,
        "checkpoint": identity,
        "openvino": openvino.get_version(),
        "processor": processor,
        **asdict(shape),
    }
