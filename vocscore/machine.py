"""What this process may use of the machine."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


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
