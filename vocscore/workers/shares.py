"""How many processes a cluster gets, and what each of them may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vocscore.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Node:
    """What one machine of a cluster offers.

    Attributes:
        cpus: CPU cores.
        gpus: GPUs.
    """

    cpus: int
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """What processes use.

    Attributes:
        processes: their number.
        cpus: CPU cores of each.
        gpus: GPUs of each; 0: the network runs on the CPU.
    """

    processes: int
    cpus: int
    gpus: float


def share_out(
    nodes: Sequence[Node],
    *,
    device: str = "auto",
    processes: int | None = None,
    cpus: int | None = None,
    gpus: float | None = None,
) -> Share:
    """Decide what is not given: one process per GPU, or one per machine where there is none.

    On CPUs, a process gets the cores of the smallest machine, or with `processes` so many that all
    of them fit.

    Args:
        nodes: the machines that are there now; an autoscaler may add more.
        device: 'auto', 'cpu' or 'cuda'.
        processes: see `Share`.
        cpus: see `Share`.
        gpus: see `Share`.

    Raises:
        OptionError: the machines that are there cannot tell what is not given, or GPUs are given
            and the device is the CPU.
    """
    if gpus is None:
        there = any(node.gpus for node in nodes)
        gpus = 1.0 if device == "cuda" or (device == "auto" and there) else 0.0
    if gpus and device == "cpu":
        raise OptionError(f"`gpus_per_process={gpus:g}` and `device='cpu'`: omit one.")
    if device == "cuda" and not gpus:
        raise OptionError("`gpus_per_process=0` and `device='cuda'`: omit one.")
    usable = [node for node in nodes if node.cpus and (not gpus or node.gpus)]
    if cpus is None:
        cpus = _cores(usable, processes, gpus)
    if processes is None:
        processes = sum(_fit(node, cpus, gpus) for node in usable)
    if not cpus or not processes:
        raise OptionError(
            "`on`: no machine of the cluster has room for a process now. Give both `processes` "
            "and `cpus_per_process`; an autoscaler then adds machines for them."
        )
    return Share(processes, cpus, gpus)


def _cores(usable: Sequence[Node], processes: int | None, gpus: float) -> int:
    """The cores of each process; 0 if there is no machine to tell."""
    if gpus:  # all of a machine's GPUs in use
        each = [max(1, int(node.cpus / max(node.gpus / gpus, 1))) for node in usable]
        return min(each, default=0)
    if processes is None:
        return min((node.cpus for node in usable), default=0)
    most = max((node.cpus for node in usable), default=0)
    fitting = (c for c in range(most, 1, -1) if sum(node.cpus // c for node in usable) >= processes)
    return next(fitting, min(most, 1))


def _fit(node: Node, cpus: int, gpus: float) -> int:
    """How many processes a machine has room for."""
    by_cpus = node.cpus // cpus if cpus else 0
    return min(by_cpus, int(node.gpus / gpus)) if gpus else by_cpus
