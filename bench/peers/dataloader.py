"""torch's DataLoader, with the three ways to an image that its users write.

Workers are kept between turns (`persistent_workers`), idle: their start is in nobody's clock.
https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

from bench.peers.task import Loader, Ready

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.peers.task import Task
    from vocscore.pipeline.preprocess import Preprocess

    Read = Callable[[str], torch.Tensor]


class Files(Dataset[tuple[torch.Tensor, int]]):
    """A map-style data set: row -> image and row."""

    def __init__(self, files: Sequence[str], read: Read) -> None:
        """Keep the names; open nothing yet."""
        self._files = files
        self._read = read

    def __len__(self) -> int:
        """How many images."""
        return len(self._files)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        """One image, float32 (3, size, size), and its row."""
        return self._read(self._files[row]), row


class TorchLoader(Loader):
    """A DataLoader with a worker a core."""

    def __init__(
        self, task: Task, read: Read, *, worker_init: Callable[[int], None] | None = None
    ) -> None:
        """Start nothing yet: workers start at the first batch."""
        self._loader: DataLoader[Any] = DataLoader(
            Files(task.files, read),
            batch_size=task.batch,
            num_workers=task.workers,
            persistent_workers=True,
            worker_init_fn=worker_init,
        )

    def batches(self) -> Iterator[Ready]:
        """As the DataLoader gives them, in order."""
        for images, rows in self._loader:
            yield Ready(images, rows.tolist())

    def close(self) -> None:
        """End the workers."""
        end_workers(self._loader)


def end_workers(loader: DataLoader[Any]) -> None:
    """End the workers of a DataLoader now, not when it happens to be collected."""
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


class ReadUsual:
    """PIL and torchvision's transforms v1: what most people write."""

    def __init__(self, preprocess: Preprocess) -> None:
        """Compose once."""
        self._transform = usual_transform(preprocess)

    def __call__(self, file: str) -> torch.Tensor:
        """One image, float32 (3, size, size)."""
        with Image.open(file) as image:
            pixels: torch.Tensor = self._transform(image.convert("RGB"))
        return pixels


class ReadV2:
    """torchvision's own decoder and transforms v2, resized as uint8.

    https://docs.pytorch.org/vision/stable/transforms.html#performance-considerations
    """

    def __init__(self, preprocess: Preprocess) -> None:
        """Compose once."""
        self._transform = v2.Compose(
            [
                v2.Resize((preprocess.size, preprocess.size), antialias=True),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(preprocess.mean, preprocess.std),
            ]
        )

    def __call__(self, file: str) -> torch.Tensor:
        """One image, float32 (3, size, size)."""
        pixels: torch.Tensor = self._transform(decode_image(file, mode=ImageReadMode.RGB))
        return pixels


def open_usual(task: Task) -> Loader:
    """DataLoader, PIL, transforms v1: the baseline."""
    return TorchLoader(task, ReadUsual(task.preprocess))


def open_v2(task: Task) -> Loader:
    """DataLoader, `decode_image`, transforms v2."""
    return TorchLoader(task, ReadV2(task.preprocess))
