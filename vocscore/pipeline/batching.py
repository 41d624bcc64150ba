"""Divides rows into batches and gathers decoded rows into a `Batch`, for every loader."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from shards.errors import BadImage, StorageError
from shards.images.memory import spared
from vocscore.pipeline.batch import Batch, Failure
from vocscore.pipeline.devices import index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from shards.sample import ImageRef

_T = TypeVar("_T")
_CPU = torch.device("cpu")


def split(
    count: int,
    *,
    batch_size: int,
    labels: NDArray[np.int8] | None,
    order: Sequence[int] | None,
) -> Iterator[NDArray[np.int64]]:
    """Divide the rows to decode into batches; the last one may be smaller.

    Args:
        count: number of images.
        batch_size: rows per batch.
        labels: int8, shape (count, C), or None; only its length is checked.
        order: as for `ImageLoader.batches`.

    Yields:
        int64, shape (1..batch_size,).

    Raises:
        ValueError: a row out of range, a row that occurs twice, or labels of another length; raised
            by the call, not with the first batch.
    """
    if labels is not None and len(labels) != count:
        raise ValueError(f"{len(labels)} rows of labels for {count} images")
    rows = np.arange(count) if order is None else np.asarray(order, dtype=np.int64).reshape(-1)
    if order is not None:
        if len(rows) and not 0 <= rows.min() <= rows.max() < count:
            raise ValueError(f"order names rows outside the {count} images")
        if len(np.unique(rows)) < len(rows):
            raise ValueError("order names a row twice; each row can come only once")
    return (rows[at : at + batch_size] for at in range(0, len(rows), batch_size))


def empty_images(
    count: int,
    size: int,
    width: int | None = None,
    *,
    device: torch.device = _CPU,
    pinned: bool = False,
) -> torch.Tensor:
    """Allocate a batch: uint8, shape (count, 3, size, width or size), channels-last, not filled.

    Args:
        count: number of images.
        size: height, pixels.
        width: None: as the height.
        device: where.
        pinned: on the CPU, whether a GPU can copy it directly.
    """
    # threads fill it, which fails if the caller is in inference mode
    with torch.inference_mode(mode=False):
        return torch.empty(
            (count, 3, size, size if width is None else width),
            dtype=torch.uint8,
            device=device,
            memory_format=torch.channels_last,
            pin_memory=pinned,
        )


def gather(
    images: torch.Tensor,
    *,
    rows: NDArray[np.int64],
    failures: Sequence[Failure],
    labels: NDArray[np.int8] | None,
) -> Batch:
    """Make a `Batch` of the rows that were decoded.

    Args:
        images: uint8, shape (N, 3, size, size), one slot for each of `rows`.
        rows: int64, shape (N,).
        failures: those of `rows` whose slot has no image.
        labels: int8, shape (all images, C), or None.
    """
    if failures:
        bad = [failure.row for failure in failures]
        kept = np.flatnonzero(~np.isin(rows, bad))
        rows = rows[kept]
        images = images[index(kept.tolist(), images.device)]
    return Batch(images, rows, None if labels is None else labels[rows], tuple(failures))


@contextmanager
def naming(ref: ImageRef) -> Iterator[None]:
    """Add the name of the image to an unexpected error.

    Raises:
        StorageError: object storage does not give the image, which is not the image's fault.
        RuntimeError: in place of any other exception, with the image's name and the cause.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # any error is raised again, with the name
        raise RuntimeError(f"{ref.name}: {type(error).__name__}: {error}") from error


def attempt(work: Callable[[], _T], *, ref: ImageRef, row: int) -> _T | Failure:
    """Read or decode one image: return the result, or the reason of its failure.

    Running out of memory, also in torch, is a failure like any other.

    Args:
        work: reads or decodes the image; called again if there was not enough memory.
        ref: the image.
        row: its row number.

    Raises:
        RuntimeError: as for `naming`.
    """
    with naming(ref):
        try:
            return spared(work)
        except BadImage as bad:
            return Failure(row, bad.fault)
