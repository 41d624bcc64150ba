"""Contestants made up for the tests, and the truth that real ones are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from bench.peers.task import Loader, ReadyBatch, Task
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shards.sample import ImageRef

SIZE = 128


def make_task(refs: Sequence[ImageRef], scratch: Path, *, batch: int = 4) -> Task:
    return Task(refs, Preprocess(size=SIZE, upright=False), batch, 2, scratch)


def plain_values(task: Task) -> np.ndarray:
    """Pillow alone, one image after another: uint8 (N, 3, size, size)."""
    size = task.preprocess.size
    values = []
    for file in task.files:
        with Image.open(file) as image:
            small = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        values.append(np.asarray(small).transpose(2, 0, 1))
    return np.stack(values)


class Scripted(Loader):
    """Gives the batches that the test says; the pixels are Pillow's, resized in the way it says."""

    def __init__(
        self,
        task: Task,
        *,
        rows: Sequence[Sequence[int]] | None = None,
        way: Image.Resampling = Image.Resampling.BILINEAR,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._task = task
        self._rows = [range(len(task.files))] if rows is None else rows
        self._way = way
        self._dtype = dtype
        self.closed = False

    def _image(self, row: int) -> torch.Tensor:
        size = self._task.preprocess.size
        with Image.open(self._task.files[row]) as image:
            small = image.convert("RGB").resize((size, size), self._way)
        return torch.from_numpy(np.array(small)).permute(2, 0, 1)

    def batches(self) -> Iterator[ReadyBatch]:
        for rows in self._rows:
            pixels = torch.stack([self._image(row) for row in rows])
            yield ReadyBatch(self._task.preprocess.normalize(pixels).to(self._dtype), list(rows))

    def close(self) -> None:
        self.closed = True
