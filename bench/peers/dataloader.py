"""torch's DataLoader, with three usual ways to read an image.

Workers are kept between turns (`persistent_workers`), idle: no turn's clock includes their start.
https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

from bench.peers.task import Loader, ReadyBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.peers.task import Task
    from vocscore.pipeline.preprocess import Preprocess

    Read = Callable[[str], torch.Tensor]


@dataclass(frozen=True)
class FileDataset(Dataset[tuple[torch.Tensor, int]]):
    """A map-style data set: row -> image, float32 (3, size, size), and row."""

    files: Sequence[str]
    read: Read

    def __len__(self) -> int:
        """Number of images."""
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        """One image and its row."""
        return self.read(self.files[row]), row


class TorchLoader(Loader):
    """A DataLoader with a worker per core; workers start at the first batch."""

    def __init__(
        self, task: Task, read: Read, *, worker_init: Callable[[int], None] | None = None
    ) -> None:
        self._loader: DataLoader[Any] = DataLoader(
            FileDataset(task.files, read),
            batch_size=task.batch,
            num_workers=task.workers,
            persistent_workers=True,
            worker_init_fn=worker_init,
        )

    def batches(self) -> Iterator[ReadyBatch]:
        """In order."""
        for images, rows in self._loader:
            yield ReadyBatch(images, rows.tolist())

    def close(self) -> None:
        """End the workers."""
        end_workers(self._loader)


def end_workers(loader: DataLoader[Any]) -> None:
    """End the workers of a DataLoader now, not when it is garbage-collected."""
    if loader._iterator is not None:  # noqa: SLF001 - torch has no public way
        loader._iterator._shutdown_workers()  # type: ignore[attr-defined]  # noqa: SLF001


def usual_transform(preprocess: Preprocess) -> transforms.Compose:
    """PIL image -> float32 (3, size, size), with transforms v1.

    https://docs.pytorch.org/vision/stable/transforms.html
    """
    return transforms.Compose(
        [
            transforms.Resize((preprocess.size, preprocess.size)),
            transforms.ToTensor(),
            transforms.Normalize(preprocess.mean, preprocess.std),
        ]
    )


def v2_transform(preprocess: Preprocess) -> v2.Compose:
    """Uint8 tensor -> float32 (3, size, size), with transforms v2, resized as uint8.

    https://docs.pytorch.org/vision/stable/transforms.html#performance-considerations
    """
    return v2.Compose(
        [
            v2.Resize((preprocess.size, preprocess.size), antialias=True),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(preprocess.mean, preprocess.std),
        ]
    )


def read_pil(file: str, transform: transforms.Compose) -> torch.Tensor:
    """PIL and torchvision's transforms v1, the usual code."""
    with Image.open(file) as image:
        pixels: torch.Tensor = transform(image.convert("RGB"))
    return pixels


def read_v2(file: str, transform: v2.Compose) -> torch.Tensor:
    """Torchvision's decoder and transforms v2."""
    pixels: torch.Tensor = transform(decode_image(file, mode=ImageReadMode.RGB))
    return pixels


def read_opencv(file: str, preprocess: Preprocess) -> torch.Tensor:
    """OpenCV's `imread` and `resize`; torch normalizes.

    https://docs.opencv.org/4.x/da/d6e/tutorial_py_geometric_transformations.html: INTER_AREA is
    preferred for shrinking, INTER_LINEAR is one of those for zooming; only the first antialiases.
    """
    import cv2

    size = preprocess.size
    image: Any = cv2.imread(file, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    shrinks = min(image.shape[:2]) > size
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    image = cv2.cvtColor(cv2.resize(image, (size, size), interpolation=way), cv2.COLOR_BGR2RGB)
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    return preprocess.normalize(torch.from_numpy(planes)[None])[0]


def _one_thread(_worker: int) -> None:
    """Switch off OpenCV's thread pool, which would start a thread per core in each worker."""
    import cv2

    cv2.setNumThreads(0)


def open_usual(task: Task) -> Loader:
    """DataLoader, PIL, transforms v1: the reference for the others."""
    return TorchLoader(task, partial(read_pil, transform=usual_transform(task.preprocess)))


def open_v2(task: Task) -> Loader:
    """DataLoader, `decode_image`, transforms v2."""
    return TorchLoader(task, partial(read_v2, transform=v2_transform(task.preprocess)))


def open_opencv(task: Task) -> Loader:
    """DataLoader, OpenCV."""
    import cv2  # noqa: F401 - fails here if it is not installed, not later in a worker

    read = partial(read_opencv, preprocess=task.preprocess)
    return TorchLoader(task, read, worker_init=_one_thread)
