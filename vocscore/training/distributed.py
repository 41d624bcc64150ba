"""Communication between the processes of one training.

Metadata and results use gloo, on the CPU; gradients and batch statistics of a network on GPUs use
NCCL. With one process, nothing here does anything.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from vocscore.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from vocscore.ranks import Ranks

Value = TypeVar("Value")

_LONGEST_WAIT = timedelta(minutes=30)
"""Timeout for collective operations: torch's default for gloo, three times that for NCCL. A process
that ends is noticed at once; this is for a network that fails silently."""
_LAST_WAIT = 30.0
"""Seconds for which a process that has lost another waits for torchrun to end it. Its own error
would only hide the one that matters."""


@contextmanager
def joined(ranks: Ranks, *, threads: int) -> Iterator[None]:
    """Join the process group; inside the block, losing another process raises a one-line error.

    Args:
        ranks: this process; torch finds the others by the variables that torchrun has set.
        threads: torch threads in this process: torchrun sets 1, which leaves cores idle.

    Raises:
        TrainError: the other processes cannot be reached, or one has ended.
    """
    if ranks.size == 1:
        yield
        return
    torch.set_num_threads(threads)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _one_line(f"rank {ranks.rank} of {ranks.size} cannot connect to the other processes"):
        dist.init_process_group(backend, timeout=_LONGEST_WAIT)
    with _one_line(f"rank {ranks.rank} of {ranks.size}: lost connection to another process"):
        yield
    dist.destroy_process_group()


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise  # gloo errors have no class of their own
        time.sleep(_LAST_WAIT)
        raise TrainError(
            f"{what} ({str(error).splitlines()[0]}). Continue with `resume=True`."
        ) from error


def from_first(value: Value, ranks: Ranks) -> Value:
    """Broadcast the first process's value: plain values and CPU tensors."""
    if ranks.size == 1:
        return value
    said = [value]
    dist.broadcast_object_list(said, src=0)
    return said[0]


def gather(own: torch.Tensor, ranks: Ranks) -> list[torch.Tensor]:
    """Gather a tensor from each process in the first one.

    Args:
        own: on the CPU; only the number of dimensions must be the same everywhere.
        ranks: this process.

    Returns:
        In the first process, the tensors of all, in the order of ranks; elsewhere an empty list.
    """
    if ranks.size == 1:
        return [own]
    shapes: list[torch.Size] | None = [own.shape] * ranks.size if ranks.first else None
    dist.gather_object(own.shape, shapes)
    if shapes is None:
        if own.numel():
            dist.send(own.contiguous(), dst=0)
        return []
    found = [own]
    for source, shape in enumerate(shapes[1:], start=1):
        found.append(torch.empty(shape, dtype=own.dtype))
        if found[-1].numel():
            dist.recv(found[-1], src=source)
    return found


def summed(own: torch.Tensor) -> torch.Tensor:
    """Sum tensors of one shape over all processes; for several processes only."""
    total = own.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def with_shared_gradients(network: nn.Module, ranks: Ranks) -> nn.Module:
    """Wrap a network so that backward averages the gradients over all processes.

    DDP: it sends the gradients of the last layers while those of the first are computed. It
    starts by broadcasting the first process's weights.
    """
    return network if ranks.size == 1 else DistributedDataParallel(network)
