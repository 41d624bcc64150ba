"""Tensors on their way to a GPU, and the GPU that a thread works on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def bring(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Bring a tensor to a device; it is itself where it lies there already.

    To a GPU through page-locked memory, because a plain copy waits for all that runs there.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def index(positions: Sequence[int], device: torch.device) -> torch.Tensor:
    """Positions on a device, to index with: int64, shape (len(positions),)."""
    return bring(torch.tensor(positions, dtype=torch.int64), device)


@contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """Make a GPU the current one: a thread starts with the first, whatever its process uses."""
    if device.type == "cpu":
        yield
        return
    with torch.cuda.device(device):
        yield
