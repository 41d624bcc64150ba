"""The cores and thread settings of this process."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from multiprocessing import active_children
from pathlib import Path
from typing import TYPE_CHECKING

from shards.images.budget import set_limit
from vocscore.device import Device

if TYPE_CHECKING:
    from collections.abc import Iterator

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


THREADS = {
    # Otherwise idle threads spin, and take cores from decoding.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Otherwise large matrix products are divided by the number of threads, and their last bits
    # depend on it: AlexNet's rows would depend on how many workers share the cores.
    "MKL_CBWR": "AUTO,STRICT",
}
"""Environment variables that torch's libraries read when they are loaded."""

_late: list[str] = []


def settle_threads() -> None:
    """Configure how torch's libraries use the cores; `import vocscore` calls it.

    Variables that the user has set are kept. Where a quota allows fewer cores than there are, the
    number of threads is set, too: the libraries look at the affinity alone. Worker processes
    inherit the settings. If torch is already loaded, they have no effect in this process;
    `set_too_late` tells.
    """
    cores = usable_cores()
    number = {"OMP_NUM_THREADS": str(cores)} if cores < _affinity() else {}
    for name, value in {**THREADS, **number}.items():
        if name not in os.environ:
            os.environ[name] = value
            if "torch" in sys.modules:
                _late.append(name)


def set_too_late() -> tuple[str, ...]:
    """The variables of `THREADS` that this process set only after torch was loaded.

    Without OMP_WAIT_POLICY, idle threads take time from decoding threads. Without OMP_NUM_THREADS,
    where there is a quota, they are more than may run. Without MKL_CBWR, the
    last bits of PyTorch's own matrix products (training; not scoring on a CPU, where OpenVINO
    computes) may depend on the number of threads.
    """
    return tuple(_late)


def usable_cores(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int:
    """Cores this process may run on: its affinity, and a container's CPU quota, rounded up.

    Args:
        cgroups: where the control groups are, of version 2 or 1.
        own: tells to which of them this process belongs.
    """
    return max(1, min([_affinity(), *_quotas(cgroups, own)]))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(cgroups: Path, own: Path) -> Iterator[int]:
    """The quotas in cores, rounded up, of this process's groups and of those around them."""
    lines = ["0::/"]  # what a container sees of its own group
    with suppress(OSError):
        lines += own.read_text().splitlines()
    for line in lines:
        version, kinds, path = line.split(":", 2)
        kind = kinds if "cpu" in kinds.split(",") else ""
        if not kind and version != "0":
            continue
        folder = cgroups / kind / path.lstrip("/")
        while folder.is_relative_to(cgroups / kind):
            with suppress(OSError, ValueError):  # no file, or 'max' and -1: no limit
                quota, period = _quota(folder, old=bool(kind))
                if quota > 0:
                    yield -(-quota // period)
            folder = folder.parent


def _quota(folder: Path, *, old: bool) -> tuple[int, int]:
    """Quota and period of a control group, microseconds."""
    if old:
        quota, period = (
            (folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
        )
    else:
        quota, period = (folder / "cpu.max").read_text().split()
    return int(quota), int(period)


def busy_with_others() -> str | None:
    """A phrase about the load of the whole machine if it has more to do than it has cores.

    The average of a minute, so it also tells of what has just ended. None where it is not known.
    """
    cores = os.cpu_count() or 1
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
    return f"a load of {load:.1f} on {cores} cores" if load > 1.5 * cores else None


def bound_images(mebibytes: int, *, processes: int = 1) -> None:
    """Bound the memory of images that this process decodes at the same time.

    Args:
        mebibytes: of all processes together.
        processes: how many share it, on this machine.
    """
    set_limit(max(1, (mebibytes << 20) // max(1, processes)))


def processes_here(cores: int) -> int:
    """Return how many processes of so many cores this machine has room for; at least 1."""
    return max(1, usable_cores() // max(1, cores))


def peak_memory() -> int:
    """Return the most bytes that this process, or one of its children, has had in memory.

    Children that have not ended are seen on Linux, if `multiprocessing` started them.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    own, ended = (
        resource.getrusage(who).ru_maxrss * unit
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    # on Linux ru_maxrss begins with the peak of the program that started this one
    own = _peak_of("self") or own
    return max([own, ended, *(_peak_of(child.pid) for child in active_children())])


def _peak_of(process: int | str | None) -> int:
    """The peak of a process that has not ended, bytes; 0 where it is not told."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    found = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(next(found, 0))


def available_memory() -> int | None:
    """Bytes that this process may still allocate, by the system and by a container's limit.

    None where neither tells.
    """
    found = [free for free in (_system_memory(), _container_memory()) if free is not None]
    return min(found, default=None)


def _system_memory(file: Path = Path("/proc/meminfo")) -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in file.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _container_memory(group: Path = CGROUPS) -> int | None:
    """What a control group (version 2) leaves; its page cache counts as used, but can be freed."""
    try:
        limit, used = (int((group / f"memory.{n}").read_text()) for n in ("max", "current"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return limit - used + int(stat["inactive_file"])
    except (OSError, ValueError, KeyError):  # 'max': no limit
        return None


def parse_device(name: str) -> tuple[str, int]:
    """Parse the name of a device as text and number; new code uses `Device.parse`.

    Args:
        name: 'auto', 'cpu', 'cuda' or 'cuda:N'.

    Returns:
        'auto', 'cpu' or 'cuda', and the number of the GPU (0 if unspecified).

    Raises:
        DeviceError: the name is none of these.
    """
    device = Device.parse(name)
    return device.kind, device.index or 0
