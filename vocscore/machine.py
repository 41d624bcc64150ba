"""What this process may use of the machine."""

from __future__ import annotations

import os
from pathlib import Path

from vocscore.errors import DeviceError

CGROUP_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def settle_threads() -> None:
    """Tell the libraries beneath torch how to use the cores; call it before torch is loaded.

    What the user has set stays. Worker processes inherit it.
    """
    # Idle threads would spin, and take the cores from those that decode.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Large matrix products are otherwise cut by the number of threads, and their last bits depend
    # on it: AlexNet's rows would depend on how many workers share the cores.
    os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")


def usable_cores(limit_file: Path = CGROUP_CPU_LIMIT) -> int:
    """Cores this process may run on: its affinity, and a container's CPU quota, rounded up.

    Args:
        limit_file: the control group's 'QUOTA PERIOD' file, microseconds; 'max' for no limit.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    try:
        quota, period = limit_file.read_text().split()
    except (OSError, ValueError):
        return cores
    if quota == "max":
        return cores
    return max(1, min(cores, -(-int(quota) // int(period))))


def parse_device(name: str) -> tuple[str, int]:
    """Read the name of a device; whether it is there, only torch can tell.

    Args:
        name: 'auto', 'cpu', 'cuda' or 'cuda:N'.

    Returns:
        'auto', 'cpu' or 'cuda', and the number of the GPU (0 where none is named).

    Raises:
        DeviceError: the name is none of these.
    """
    kind, colon, number = name.partition(":")
    if kind in ("auto", "cpu", "cuda") and not colon:
        return kind, 0
    if kind == "cuda" and number.isascii() and number.isdigit():
        return kind, int(number)
    raise DeviceError(f"device {name!r} is none of auto, cpu, cuda, cuda:N.")
