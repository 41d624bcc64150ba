"""What this process may use of the machine."""

from __future__ import annotations

import os
from pathlib import Path

from vocscore.device import Device

CGROUP_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def settle_threads() -> None:
    """Configure how torch's libraries use the cores; call it before torch is loaded.

    Variables that the user has set are kept. Worker processes inherit the settings.
    """
    # Otherwise idle threads spin, and take cores from decoding.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Otherwise large matrix products are divided by the number of threads, and their last bits
    # depend on it: AlexNet's rows would depend on how many workers share the cores.
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
    """Read the name of a device as text and number; new code uses `Device.parse`.

    Args:
        name: 'auto', 'cpu', 'cuda' or 'cuda:N'.

    Returns:
        'auto', 'cpu' or 'cuda', and the number of the GPU (0 where none is named).

    Raises:
        DeviceError: the name is none of these.
    """
    device = Device.parse(name)
    return device.kind, device.index or 0
