"""Finds devices, copies tensors to a GPU, and sets the current GPU of a thread."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from vocscore.device import CPU, Device
from vocscore.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def find_device(wanted: Device) -> Device:
    """Turn the requested device into one that exists.

    Args:
        wanted: 'auto' is the first GPU, or the CPU if there is none.

    Returns:
        The CPU, or a GPU with its number.

    Raises:
        DeviceError: no such GPU is visible.
    """
    if wanted.kind == "cpu":
        return CPU
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted.kind == "auto" and not there:
        return CPU
    number = wanted.index or 0
    if number >= there:
        seen = f"{there} visible: cuda:0 to cuda:{there - 1}" if there else "none visible to torch"
        raise DeviceError(
            f"device '{wanted}' not found ({seen}). Use `device='auto'` or `device='cpu'`."
        )
    return Device("cuda", number)


def is_gpu(device: torch.device) -> bool:
    """Whether a torch device is a GPU."""
    return device.type == "cuda"


def bring(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a tensor to a device; a tensor that is already there is returned unchanged.

    Copies to a GPU use page-locked memory, because a plain copy waits for all work queued there.
    """
    if is_gpu(device) and tensor.is_cpu:
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def index(positions: Sequence[int], device: torch.device) -> torch.Tensor:
    """Return a tensor of indices on a device: int64, shape (len(positions),)."""
    return bring(torch.tensor(positions, dtype=torch.int64), device)


@contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """Make a GPU the current one; by default, the first GPU is current in each thread."""
    if not is_gpu(device):
        yield
        return
    with torch.cuda.device(device):
        yield
