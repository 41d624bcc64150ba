"""Rows of raw results, each with the machine, the versions and the commit it was measured at."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocscore.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.timing import Rate

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("vocscore", "torch", "torchvision", "nvidia-dali-cuda130", "simplejpeg", "pillow")


def environment() -> dict[str, Any]:
    """Processor, cores, GPU, Python, packages, commit."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "gpu": gpu,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def _processor() -> str:
    """The model as the kernel names it, with its widest vector instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    widest = [flag for flag in ("amx_bf16", "avx512f", "avx2") if flag in named.get("flags", "")]
    return f"{named.get('model name', platform.processor())} ({', '.join(widest[:2])})"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    words = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - fixed words
    except (OSError, subprocess.CalledProcessError):
        return None


def save(name: str, row: Mapping[str, Any]) -> Path:
    """Append one row to `results/NAME.jsonl`."""
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{name}.jsonl"
    with file.open("a") as lines:
        lines.write(json.dumps({**row, "environment": environment()}) + "\n")
    return file


def table(rates: Mapping[str, Rate], *, baseline: str) -> str:
    """Median images per second, spread, and the ratio to the baseline, as aligned text."""
    base = rates[baseline].median
    lines = [f"{'':34s} images/s  spread  ratio"]
    lines += [
        f"{name:34s} {rate.median:8.1f}  {rate.spread:5.0%}  {rate.median / base:5.2f}"
        for name, rate in rates.items()
    ]
    return "\n".join(lines)
