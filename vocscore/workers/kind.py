"""What the last bits of a result depend on, apart from the job: versions, processor, arithmetic.

Kernels are chosen by the processor's instructions and change with the libraries, so two machines
give equal bytes only if all of this is equal. The number of threads does not matter.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CPUINFO = Path("/proc/cpuinfo")


def kind_of(*, device: str, precision: str) -> dict[str, str]:
    """Describe this machine and its libraries.

    Args:
        device: 'cpu' or 'cuda:N'.
        precision: the arithmetic of the network.
    """
    kind = {
        "vocscore": version("vocscore"),
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "torch": version("torch"),
        "precision": precision,
    }
    if device == "cpu":
        return {**kind, "OpenVINO": _version("openvino"), "processor": processor()}
    import torch

    cudnn = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    return {**kind, "cuDNN": cudnn, "GPU": torch.cuda.get_device_name(device)}


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Return what differs in another kind, as text; empty if nothing does."""
    return ", ".join(
        f"{name} {other.get(name, 'none')} instead of {one.get(name, 'none')}"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    )


def processor(cpuinfo: Path = _CPUINFO) -> str:
    """Return the model of the processor, or its architecture where the system does not tell."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return value.strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
