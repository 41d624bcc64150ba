"""`Batch`, the type of the network's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from shards.errors import Fault
    from shards.sample import ImageRef
    from vocscore.pipeline.augment import Views

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class Failure:
    """One image of a batch that could not be decoded.

    Attributes:
        row: its row number in the list that was passed.
        fault: what is wrong with it.
    """

    row: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class Batch:
    """Decoded images, each with its row number.

    Each image keeps its row number, so that padding, shuffling, threads and several devices
    can never assign a score to the wrong name.

    Attributes:
        images: uint8, shape (N, 3, size, size), RGB, channels-last in memory, on the loader's
            device. `Preprocess.normalize` turns it into the network's input.
        rows: int64, shape (N,): the row of each image in the list that was passed.
        labels: int8, shape (N, C): 1 present, 0 absent, -1 only difficult; None without labels.
        failures: the images of this batch that could not be decoded; their rows are not in
            `rows`.
    """

    images: torch.Tensor
    rows: NDArray[np.int64]
    labels: NDArray[np.int8] | None = None
    failures: tuple[Failure, ...] = ()

    def __post_init__(self) -> None:
        """Check that types and shapes match, when the batch is created and not when it is used."""
        n = len(self.rows)
        shape = tuple(self.images.shape)
        if self.images.dtype != torch.uint8 or len(shape) != 4 or shape[:2] != (n, 3):
            raise ValueError(
                f"a batch of {n} rows needs uint8 images ({n}, 3, H, W), got "
                f"{self.images.dtype} {shape}"
            )
        if self.rows.dtype != np.int64 or self.rows.ndim != 1:
            raise ValueError(f"rows must be int64 (N,), got {self.rows.dtype} {self.rows.shape}")
        if self.labels is not None and (self.labels.dtype != np.int8 or len(self.labels) != n):
            raise ValueError(
                f"a batch of {n} rows needs int8 labels ({n}, C), got "
                f"{self.labels.dtype} {self.labels.shape}"
            )

    def __repr__(self) -> str:
        """Return shapes, types and the device instead of thousands of numbers."""
        shape = tuple(self.images.shape)
        labels = "None" if self.labels is None else f"int8 {self.labels.shape}"
        return (
            f"Batch(images=uint8 {shape} on {self.images.device}, rows=int64 {self.rows.shape}, "
            f"labels={labels}, failures={len(self.failures)})"
        )


class ImageLoader(Protocol):
    """Decodes image files into batches: the DALI graph, the host path or the PIL reference."""

    def batches(
        self,
        refs: Sequence[ImageRef],
        *,
        labels: NDArray[np.int8] | None = None,
        order: Sequence[int] | None = None,
        views: Views | None = None,
    ) -> Iterator[Batch]:
        """Decode every image once.

        Args:
            refs: where the bytes are; the position in this list is the row number.
            labels: int8, shape (len(refs), C), returned with the rows; or None.
            order: the rows to decode, in this order; None: every row once, in order. A row may be
                left out (another rank has it).
            views: the augmentation of each row; None: no augmentation.

        Yields:
            Batches of up to `batch_size` rows; each row of `order` occurs exactly once, either in
            `rows` or in `failures`.
        """
        ...

    def close(self) -> None:
        """End the threads and free device memory."""
        ...

    def __enter__(self) -> Self:
        """Return the loader, which is closed at the end of the `with` block."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the loader, also after an error."""
        self.close()
