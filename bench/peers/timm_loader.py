"""timm's loader, as its `inference.py` opens it (`create_dataset`, `create_loader`).

https://github.com/huggingface/pytorch-image-models/blob/main/inference.py; `crop_mode='squash'`
with `crop_pct=1` makes both sides the size, which is what all contestants do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bench.peers.dataloader import end_workers
from bench.peers.task import Loader, Ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers.task import Task


class TimmLoader(Loader):
    """`create_loader` over a folder, with a worker a core."""

    def __init__(self, task: Task) -> None:
        """Make the folder; workers start at the first batch."""
        from timm.data import create_dataset, create_loader

        size = task.preprocess.size
        dataset: Any = create_dataset("", root=str(_folder(task)))
        self._rows = [int(Path(name).stem) for name in dataset.filenames(basename=True)]
        self._loader: Any = create_loader(
            dataset,
            input_size=(3, size, size),
            batch_size=task.batch,
            interpolation="bilinear",
            mean=task.preprocess.mean,
            std=task.preprocess.std,
            num_workers=task.workers,
            crop_pct=1.0,
            crop_mode="squash",
            device=torch.device("cpu"),
        )

    def batches(self) -> Iterator[Ready]:
        """In the order of timm's own list of names."""
        position = 0
        for images, _targets in self._loader:
            yield Ready(images, self._rows[position : position + len(images)])
            position += len(images)

    def close(self) -> None:
        """End the workers."""
        end_workers(self._loader.loader)


def _folder(task: Task) -> Path:
    """The images under their row numbers."""
    folder = task.scratch / "timm"
    folder.mkdir()
    for row, file in enumerate(map(Path, task.files)):
        (folder / f"{row:06d}{file.suffix}").symlink_to(file.resolve())
    return folder


def open_timm(task: Task) -> Loader:
    """timm, `create_loader`."""
    return TimmLoader(task)
