"""From files to probabilities: the inference loops that a user would otherwise write."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from bench.peers.agreement import check_rows
from bench.peers.dataloader import open_usual
from bench.peers.ray_data import RayLoop
from bench.peers.task import open_or_say
from bench.peers.timm_loader import open_timm
from bench.timing import Timed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from numpy.typing import NDArray
    from torch import nn

    from bench.peers.task import Loader, Task

USUAL = "usual loop (DataLoader, PIL, eager float32)"
TIMM = "timm's inference loop"
RAY = "Ray Data's batch inference"


class Loop(Protocol):
    """A contestant: files to probabilities, as often as it is asked to."""

    def run(self) -> tuple[NDArray[np.float32], Timed]:
        """Every image once: probabilities (N, C) in the order of rows, and the clock's word."""
        ...

    def close(self) -> None:
        """End workers."""
        ...


class EagerLoop(Loop):
    """A loader, and an eager network in the main process, as in timm's and torchvision's scripts.

    https://github.com/pytorch/vision/blob/main/references/classification/train.py (`evaluate`) and
    https://github.com/huggingface/pytorch-image-models/blob/main/inference.py, both without options
    that change the numbers. The network ends in probabilities: labels are independent, a softmax
    would not do.
    """

    def __init__(self, task: Task, network: nn.Module, loader: Loader) -> None:
        """Keep what the loop needs."""
        self._task = task
        self._network = network.eval()
        self._loader = loader

    @torch.inference_mode()
    def run(self) -> tuple[NDArray[np.float32], Timed]:
        """The loop; workers' first start is part of a first run only."""
        found: list[NDArray[np.float32]] = []
        seen: list[int] = []
        batches = self._loader.batches()
        started = stopped = time.perf_counter()
        for ready in batches:
            found.append(self._network(ready.images).numpy())
            seen += ready.rows
            stopped = time.perf_counter()
        check_rows(seen, self._task)
        return np.concatenate(found)[np.argsort(seen)], Timed(len(seen), stopped - started)

    def close(self) -> None:
        """End the loader's workers."""
        self._loader.close()


LOOPS: dict[str, Callable[[Task, nn.Module], Loop]] = {
    USUAL: lambda task, network: EagerLoop(task, network, open_usual(task)),
    TIMM: lambda task, network: EagerLoop(task, network, open_timm(task)),
    RAY: RayLoop,
}


def open_loops(
    task: Task, network: nn.Module, closing: ExitStack, *, names: tuple[str, ...] = tuple(LOOPS)
) -> tuple[dict[str, Loop], dict[str, str]]:
    """Open those that can run here.

    Args:
        task: the images; a loop never sees vocscore's way to them.
        network: float32 images (N, 3, size, size) to probabilities (N, C).
        closing: closes them.
        names: of `LOOPS`.

    Returns:
        The loops, and for the others the reason, one line.
    """
    loops: dict[str, Loop] = {}
    absent: dict[str, str] = {}
    for name in names:
        loop = open_or_say(partial(LOOPS[name], task, network))
        if isinstance(loop, str):
            absent[name] = loop
        else:
            loops[name] = loop
            closing.callback(loop.close)
    return loops, absent
