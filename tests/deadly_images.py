"""An image that kills the process that reads it; workers import only this, not a test."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from shards.sample import ImageRef


def deadly(root: str, victim: str, marks: str, deaths: int, path: str) -> ImageRef:
    """Locate an image; the victim kills its process, this number of times."""
    if path == victim:
        for death in range(deaths):
            try:
                (Path(marks) / str(death)).touch(exist_ok=False)
            except FileExistsError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
    return ImageRef(path, os.path.join(root, path))  # noqa: PTH118 - as packing does
