"""Do contestants do the same work? And a turn against the clock, every row seen once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from bench.timing import Timed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.peers.task import Loader, Ready, Task


def gray_levels(loader: Loader, task: Task) -> torch.Tensor:
    """Go through all images and undo the normalization.

    Returns:
        uint8, shape (N, 3, size, size), in the order of rows.

    Raises:
        ValueError: a row is missing or comes twice, or a batch is of another kind.
    """
    size = task.preprocess.size
    levels = torch.empty((len(task.files), 3, size, size), dtype=torch.uint8)
    mean = torch.tensor(task.preprocess.mean).view(1, 3, 1, 1)
    std = torch.tensor(task.preprocess.std).view(1, 3, 1, 1)
    seen: list[int] = []
    for ready in loader.batches():
        _check_kind(ready, size)
        pixels = (ready.images * std + mean) * 255
        levels[list(ready.rows)] = pixels.round().clamp(0, 255).to(torch.uint8)
        seen += ready.rows
    check_rows(seen, task)
    return levels


def mean_difference(levels: torch.Tensor, truth: torch.Tensor) -> float:
    """Mean absolute difference, gray levels, of two results of `gray_levels`."""
    # an image at a time: a difference needs more memory than its pixels
    total = sum(int((a.int() - b.int()).abs().sum()) for a, b in zip(levels, truth, strict=True))
    return total / truth.numel()


def turn(loader: Loader, task: Task) -> Timed:
    """Go through all images; the clock stops at the last batch.

    Raises:
        ValueError: a row is missing or comes twice.
    """
    batches = loader.batches()
    seen: list[int] = []
    stopped = started = time.perf_counter()
    for ready in batches:
        seen += ready.rows
        stopped = time.perf_counter()
    check_rows(seen, task)
    return Timed(len(seen), stopped - started)


def check_rows(seen: Sequence[int], task: Task) -> None:
    """Every row once.

    Raises:
        ValueError: one is missing or comes twice.
    """
    if sorted(seen) != list(range(len(task.files))):
        raise ValueError(f"{len(set(seen))} different rows of {len(task.files)} came, {len(seen)}")


def _check_kind(ready: Ready, size: int) -> None:
    shape = (len(ready.rows), 3, size, size)
    if tuple(ready.images.shape) != shape or ready.images.dtype != torch.float32:
        raise ValueError(
            f"a batch is {ready.images.dtype} {tuple(ready.images.shape)}, not float32 {shape}"
        )
