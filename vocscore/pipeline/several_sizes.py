"""Images in several sizes: one loader per size, whose batches are packed into one.

Every size is decoded and resized by itself, so its pixels are those that a loader of this size
alone makes, also where JPEGs are decoded at a reduced size.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from vocscore.pipeline.batch import Batch, ImageLoader
from vocscore.pipeline.devices import index
from vocscore.pipeline.loaders import open_loader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from shards.sample import ImageRef
    from vocscore.device import Device
    from vocscore.pipeline.augment import Views
    from vocscore.pipeline.preprocess import Preprocess


def open_sizes(
    name: str,
    preprocess: Preprocess,
    sizes: Sequence[int],
    *,
    batch_size: int,
    device: Device | str,
    threads: int,
    max_pixels: int,
) -> ImageLoader:
    """Open a loader for one or several sizes.

    Args:
        name: as for `open_loader`, like the other arguments.
        preprocess: all of it except the size.
        sizes: height and width of each, pixels. With several, batches are those of `pack`, and the
            threads are divided among the sizes.
        batch_size: rows per batch.
        device: the network's device.
        threads: of all sizes together.
        max_pixels: as for `image.decode`.

    Raises:
        DeviceError, ValueError: as for `open_loader`.
    """
    opened: list[ImageLoader] = []
    with ExitStack() as held:
        for size in sizes:
            loader = open_loader(
                name,
                replace(preprocess, size=size),
                batch_size=batch_size,
                device=device,
                threads=-(-threads // len(sizes)),
                max_pixels=max_pixels,
            )
            held.callback(loader.close)
            opened.append(loader)
        held.pop_all()
    return opened[0] if len(opened) == 1 else SeveralSizes(opened)


class SeveralSizes(ImageLoader):
    """Makes batches of images in several sizes.

    Args:
        loaders: one per size, which differ in nothing else; `close` closes them.

    Attributes:
        kind: their class name.
        passes: how often each image is read.
    """

    def __init__(self, loaders: Sequence[ImageLoader]) -> None:
        self._loaders = tuple(loaders)
        self.kind = type(loaders[0]).__name__
        self.passes = len(self._loaders)

    def batches(
        self,
        refs: Sequence[ImageRef],
        *,
        labels: NDArray[np.int8] | None = None,
        order: Sequence[int] | None = None,
        views: Views | None = None,
    ) -> Iterator[Batch]:
        """Decode every image once per size; see `ImageLoader.batches`.

        An image that fails in one size fails.
        """
        with ExitStack() as held:
            streams = []
            for loader in self._loaders:
                stream = loader.batches(refs, labels=labels, order=order, views=views)
                held.enter_context(closing(cast("Generator[Batch]", stream)))
                streams.append(stream)
            for parts in zip(*streams, strict=True):
                yield _packed(parts)

    def close(self) -> None:
        """Close every loader."""
        with ExitStack() as held:  # all of them, also if closing one raises
            for loader in self._loaders:
                held.callback(loader.close)


def _packed(parts: Sequence[Batch]) -> Batch:
    """Join the batches of the same rows in each size."""
    failures = {one.row: one for part in reversed(parts) for one in part.failures}
    good = ~np.isin(parts[0].rows, list(failures))
    rows, labels = parts[0].rows[good], parts[0].labels
    labels = None if labels is None else labels[good]
    images = [_images_of(part, rows) for part in parts]
    return Batch(pack(images), rows, labels, tuple(failures[row] for row in sorted(failures)))


def _images_of(part: Batch, rows: NDArray[np.int64]) -> torch.Tensor:
    """Return the images of some rows of a batch, in the order of the rows.

    Raises:
        RuntimeError: some are missing: two loaders divided the images into different batches.
    """
    if np.array_equal(part.rows, rows):
        return part.images
    place = {int(row): at for at, row in enumerate(part.rows)}
    if not all(int(row) in place for row in rows):
        raise RuntimeError("the loaders of two sizes made batches of different images")
    return part.images[index([place[int(row)] for row in rows], part.images.device)]


def pack(images: Sequence[torch.Tensor]) -> torch.Tensor:
    """Put the same images in several sizes into one tensor, the pixels of one size after another.

    Args:
        images: per size uint8, shape (N, 3, S, S).

    Returns:
        uint8, shape (N, 3, 1, sum of S * S), channels-last in memory.
    """
    pixels = [one.permute(0, 2, 3, 1).flatten(1, 2) for one in images]
    return torch.cat(pixels, dim=1)[:, None].permute(0, 3, 1, 2)


def unpack(images: torch.Tensor, sizes: Sequence[int]) -> list[torch.Tensor]:
    """Return what was packed, per size uint8, shape (N, 3, S, S); views of the same memory.

    Raises:
        ValueError: the images are not of these sizes.
    """
    if images.shape[1:] != shape_of(sizes):
        raise ValueError(f"{tuple(images.shape)} is not a batch of the sizes {tuple(sizes)}")
    if len(sizes) == 1:
        return [images]
    pixels = images.permute(0, 2, 3, 1)[:, 0]
    parts = torch.split(pixels, [size * size for size in sizes], dim=1)
    return [
        part.view(-1, size, size, 3).permute(0, 3, 1, 2)
        for part, size in zip(parts, sizes, strict=True)
    ]


def shape_of(sizes: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of one image in a batch of these sizes."""
    if len(sizes) == 1:
        return 3, sizes[0], sizes[0]
    return 3, 1, sum(size * size for size in sizes)
