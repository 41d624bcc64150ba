"""Rows of raw results, each with its machine, versions and commit."""

from __future__ import annotations

import json
import platform
import subprocess
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocscore.machine import usable_cores
from vocscore.workers.kind import processor

if TYPE_CHECKING:
    from bench.outcome import Outcome

FOLDER = Path(__file__).parent / "results"
DIRTY = "-dirty"
PACKAGES = (
    *("vocscore", "torch", "torchvision", "openvino", "nncf", "nvidia-dali-cuda130"),
    *("simplejpeg", "pillow", "webdataset"),
)


@cache
def environment() -> dict[str, Any]:
    """Date, processor, cores, GPU, Python, packages, commit; determined once per process."""
    import torch

    from vocscore.pipeline.gpu_engines import jpeg_engines

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "processor": _processor(),
        "cores": usable_cores(),
        "gpu": gpu,
        **({"jpeg_engines": jpeg_engines("cuda")} if gpu else {}),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def _processor() -> str:
    """The processor's model, with its widest vector instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return processor()
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    known = ("amx_bf16", "avx512f", "avx512_bf16", "avx2")
    widest = [flag for flag in known if flag in flags]
    return f"{processor()} ({', '.join(widest[:2])})"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The measured commit, marked dirty if the code (not the results) was changed."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", ":/", ":!results")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}{DIRTY}" if changed else commit


def _git(*words: str) -> str:
    git = ["git", "-C", str(Path(__file__).parent), *words]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - fixed words


def save(outcome: Outcome, folder: Path = FOLDER) -> tuple[Path, dict[str, Any]]:
    """Append one row to `CONTEST.jsonl` in a folder.

    Returns:
        The file, and the row as written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{outcome.contest}.jsonl"
    row = {**outcome.row(), "environment": environment()}
    with file.open("a") as lines:
        lines.write(json.dumps(row) + "\n")
    return file, row
