"""The host loader for machines without a GPU: libjpeg-turbo decodes, torch resizes, in threads."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from shards.images import image_file
from vocscore.pipeline import batching
from vocscore.pipeline.augment import AS_IT_IS
from vocscore.pipeline.batch import ImageLoader
from vocscore.pipeline.color import recolor
from vocscore.pipeline.devices import index
from vocscore.pipeline.thread_pool import OrderedThreadPool

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shards.sample import ImageRef
    from vocscore.pipeline.augment import Crop, View, Views
    from vocscore.pipeline.batch import Batch, Failure
    from vocscore.pipeline.preprocess import Preprocess


def decode_into(
    out: torch.Tensor,
    data: bytes | NDArray[np.uint8],
    *,
    preprocess: Preprocess,
    max_pixels: int,
    view: View = AS_IT_IS,
) -> None:
    """Decode a file, crop, resize, turn upright and recolor it.

    Args:
        out: where to write it: uint8, shape (3, size, size), channels-last in memory.
        data: the whole file, or pixels as `image_file.decode` returns them.
        preprocess: the preprocessing of the image.
        max_pixels: as for `image_file.decode`.
        view: its augmentation.

    Raises:
        BadImage: as for `image_file.decode`.
    """
    upright = preprocess.upright
    if view.crop is None:
        whole = image_file.decode_to_resize(
            data, preprocess.size, upright=upright, max_pixels=max_pixels
        )
    else:
        whole = _cropped(image_file.decode(data, upright=upright, max_pixels=max_pixels), view.crop)
    fit(whole, out=out)
    turn(out[None], [view.turned(whole.orientation)])
    if view.colors is not None:
        recolor(out[None], [view.colors])


def _cropped(pixels: NDArray[np.uint8], crop: Crop) -> image_file.Decoded:
    """Return a part of an upright image, without a copy."""
    height, width = pixels.shape[:2]
    box = crop.box(width, height)
    part = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
    return image_file.Decoded(part, box.width, box.height, reduced=1, orientation=1)


def fit(whole: image_file.Decoded, *, out: torch.Tensor) -> None:
    """Resize one image to a square: bilinear, antialiased.

    Args:
        whole: the image; its orientation is not applied.
        out: where to write it: uint8, shape (3, size, size), channels-last in memory.
    """
    pixels = torch.from_numpy(whole.pixels).permute(2, 0, 1)[None]
    height = width = None
    if whole.reduced > 1:  # otherwise torch computes the ratio itself, with its own rounding
        height, width = out.shape[1] / whole.height, out.shape[2] / whole.width
    # The function behind `F.interpolate(..., mode="bilinear", antialias=True)`, which has no `out`:
    # writing in place saves an eighth of the time from bytes to batch.
    torch.ops.aten._upsample_bilinear2d_aa.out(  # noqa: SLF001
        pixels, out.shape[1:], False, height, width, out=out[None]
    )


def turn(images: torch.Tensor, orientations: Sequence[int]) -> None:
    """Turn square images upright, in place, by their EXIF orientations (EXIF 2.3, tag 0x0112).

    Args:
        images: shape (N, channels, size, size).
        orientations: N values, 1 (upright) to 8.
    """
    for value in set(orientations) - {1}:
        which = [i for i, orientation in enumerate(orientations) if orientation == value]
        if images.is_cuda:
            at = index(which, images.device)
            images[at] = _turned(images[at], value)
        else:  # one by one: on a CPU the indexing costs ten times as much as the turning
            for i in which:
                images[i].copy_(_turned(images[i], value))


def _turned(images: torch.Tensor, orientation: int) -> torch.Tensor:
    """Return turned copies of square images, shape (..., size, size)."""
    if orientation >= 5:
        images = images.transpose(-2, -1)
    axes = [-2] * (orientation in (3, 4, 7, 8)) + [-1] * (orientation in (2, 3, 6, 7))
    return images.flip(axes)


@dataclass(frozen=True)
class _Job:
    rows: NDArray[np.int64]
    images: torch.Tensor

    def __len__(self) -> int:
        return len(self.rows)


class HostLoader(ImageLoader):
    """Makes batches on the CPU.

    Args:
        preprocess: the preprocessing of each image.
        batch_size: rows per batch.
        threads: images decoded at the same time; usually the number of cores.
        max_pixels: as for `image_file.decode`.
    """

    def __init__(
        self, preprocess: Preprocess, *, batch_size: int, threads: int, max_pixels: int
    ) -> None:
        """Start the threads."""
        self._preprocess = preprocess
        self._batch_size = batch_size
        self._max_pixels = max_pixels
        self._crew = OrderedThreadPool(threads)

    def batches(
        self,
        refs: Sequence[ImageRef],
        *,
        labels: NDArray[np.int8] | None = None,
        order: Sequence[int] | None = None,
        views: Views | None = None,
    ) -> Iterator[Batch]:
        """Decode every image once, with a few batches prefetched; see `ImageLoader.batches`.

        Raises:
            RuntimeError: an error other than a bad image; the message names the image.
        """
        size = self._preprocess.size
        chunks = batching.split(len(refs), batch_size=self._batch_size, labels=labels, order=order)
        jobs = (_Job(rows, batching.empty_images(len(rows), size)) for rows in chunks)

        def work(job: _Job, position: int) -> Failure | None:
            row = int(job.rows[position])
            view = AS_IT_IS if views is None else views.of(row)
            return self._fill(job.images[position], refs[row], row, view)

        return _gathered(self._crew.ahead(jobs, work=work), labels)

    def _fill(self, slot: torch.Tensor, ref: ImageRef, row: int, view: View) -> Failure | None:
        def fill() -> None:
            decode_into(
                slot,
                image_file.read_content(ref, max_pixels=self._max_pixels),
                preprocess=self._preprocess,
                max_pixels=self._max_pixels,
                view=view,
            )

        return batching.attempt(fill, ref=ref, row=row)

    def close(self) -> None:
        """End the threads."""
        self._crew.close()


def _gathered(
    done: Generator[tuple[_Job, list[Failure | None]]], labels: NDArray[np.int8] | None
) -> Iterator[Batch]:
    with closing(done):  # a consumer that stops early stops the threads too
        for job, results in done:
            failures = [result for result in results if result is not None]
            yield batching.gather(job.images, rows=job.rows, failures=failures, labels=labels)
