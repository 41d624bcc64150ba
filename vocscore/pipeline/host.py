"""The host loader for machines without a GPU: libjpeg-turbo decodes, torch resizes, in threads."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from shards.images import image_file
from vocscore.pipeline import batching
from vocscore.pipeline.augment import AS_IT_IS
from vocscore.pipeline.batch import ImageLoader
from vocscore.pipeline.color import recolor
from vocscore.pipeline.devices import index
from vocscore.pipeline.geometry import place, resized_side
from vocscore.pipeline.raw import read_into, refuse_other_refs
from vocscore.pipeline.thread_pool import OrderedThreadPool

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shards.sample import ImageRef
    from vocscore.pipeline.augment import Box, Crop, View, Views
    from vocscore.pipeline.batch import Batch, Failure
    from vocscore.pipeline.preprocess import Preprocess

FILTERS: Final[dict[str, Any]] = {
    "bilinear": torch._C._nn._upsample_bilinear2d_aa,  # noqa: SLF001
    "bicubic": torch._C._nn._upsample_bicubic2d_aa,  # noqa: SLF001
}
"""The functions behind `F.interpolate(..., antialias=True)`, which has no `out`: writing in place
saves an eighth of the time from bytes to batch. Called here they hold Python's lock for a quarter
of the time that `torch.ops.aten` takes."""


def decode_into(
    out: torch.Tensor,
    data: bytes | NDArray[np.uint8],
    *,
    preprocess: Preprocess,
    max_pixels: int,
    view: View = AS_IT_IS,
    fitted: bool = False,
    thorough: bool = False,
) -> None:
    """Decode a file, crop, resize, turn upright and recolor it.

    Args:
        out: where to write it: uint8, shape (3, size, size), channels-last in memory.
        data: the whole file, or pixels as `image_file.decode` returns them.
        preprocess: the preprocessing of the image.
        max_pixels: as for `image_file.decode`.
        view: its augmentation.
        fitted: whether `data` are pixels that are preprocessed already, those of a raw image;
            a crop is then taken from them.
        thorough: as for `image_file.decode_to_resize`.

    Raises:
        BadImage: as for `image_file.decode`.
    """
    upright = preprocess.upright
    if view.crop is None and fitted:
        whole = image_file.decode_to_resize(data, out.shape[1], max_pixels=max_pixels)
        out.copy_(torch.from_numpy(whole.pixels).permute(2, 0, 1))
    elif view.crop is None:
        whole = image_file.decode_to_resize(
            data,
            resized_side(preprocess),
            upright=upright,
            max_pixels=max_pixels,
            of_longer=preprocess.fit == "pad",
            thorough=thorough,
        )
        fit(whole, preprocess, out=out)
    else:
        whole = _cropped(image_file.decode(data, upright=upright, max_pixels=max_pixels), view.crop)
        resize(whole, preprocess.interpolation, out=out)
    complete(out, view, orientation=whole.orientation)


def complete(out: torch.Tensor, view: View, *, orientation: int = 1) -> None:
    """Turn upright, mirror and recolor an image in place: uint8, shape (3, size, size)."""
    turned = view.turned(orientation)
    if turned != 1:
        turn(out[None], [turned])
    if view.colors is not None:
        recolor(out[None], [view.colors])


def _cropped(pixels: NDArray[np.uint8], crop: Crop) -> image_file.Decoded:
    """Return a part of an upright image, without a copy."""
    height, width = pixels.shape[:2]
    box = crop.box(width, height)
    part = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
    return image_file.Decoded(part, box.width, box.height, reduced=1, orientation=1)


def fit(whole: image_file.Decoded, preprocess: Preprocess, *, out: torch.Tensor) -> None:
    """Make a square of an image: resized, then cropped or padded if need be.

    Args:
        whole: the image; its orientation is not applied.
        preprocess: its fit and interpolation.
        out: where to write it: uint8, shape (3, size, size), channels-last in memory.
    """
    if preprocess.fit == "squash":
        resize(whole, preprocess.interpolation, out=out)
        return
    width, height = round(whole.width * whole.reduced), round(whole.height * whole.reduced)
    upright = (width, height) if whole.orientation < 5 else (height, width)
    placed = place(*upright, preprocess).stored(whole.orientation, width=width, height=height)
    resized = batching.empty_images(1, placed.height, placed.width)[0]
    resize(_part(whole, placed.part), preprocess.interpolation, out=resized)
    square = placed.square
    top, left = max(0, square.top), max(0, square.left)
    inside = resized[:, top : square.top + square.height, left : square.left + square.width]
    if preprocess.fit == "pad":
        out.copy_(
            torch.tensor(preprocess.pad_color, dtype=torch.uint8).view(3, 1, 1).expand_as(out)
        )
        at, across = top - square.top, left - square.left
        out = out[:, at : at + inside.shape[1], across : across + inside.shape[2]]
    out.copy_(inside)


def _part(whole: image_file.Decoded, box: Box) -> image_file.Decoded:
    """Return a part of an image, without a copy; `box` is in pixels of the stored image."""
    by = whole.reduced
    if (box.height, box.width) == (round(whole.height * by), round(whole.width * by)):
        return whole
    # An image so long that only its middle is used; at a reduced size, up to a pixel more or less.
    top, left = round(box.top / by), round(box.left / by)
    height, width = -(-box.height // by), -(-box.width // by)
    part = whole.pixels[top : top + height, left : left + width]
    return image_file.Decoded(part, box.width / by, box.height / by, by, whole.orientation)


def resize(whole: image_file.Decoded, interpolation: str, *, out: torch.Tensor) -> None:
    """Resize one image, antialiased.

    Args:
        whole: the image; its orientation is not applied.
        interpolation: 'bilinear' or 'bicubic'.
        out: where to write it: uint8, shape (3, height, width), channels-last in memory.
    """
    # Views by NumPy: torch gives up Python's lock for each of its own, and waits for it again.
    pixels = torch.from_numpy(whole.pixels[None].transpose(0, 3, 1, 2))
    square = torch.from_numpy(out.numpy()[None])
    height = width = None
    if whole.reduced > 1:  # otherwise torch computes the ratio itself, with its own rounding
        height, width = out.shape[1] / whole.height, out.shape[2] / whole.width
    FILTERS[interpolation](pixels, out.shape[1:], False, height, width, out=square)


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
        pinned: whether batches are in page-locked memory, which a GPU copies from directly.
    """

    def __init__(
        self,
        preprocess: Preprocess,
        *,
        batch_size: int,
        threads: int,
        max_pixels: int,
        pinned: bool = False,
    ) -> None:
        """Start the threads."""
        self._preprocess = preprocess
        self._batch_size = batch_size
        self._max_pixels = max_pixels
        self._pinned = pinned
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
            PreprocessError: a raw image is not what the preprocessing makes; raised by the call.
        """
        refuse_other_refs(refs, self._preprocess)
        known = refs[:]  # where they are; `refs[row]` may wait for the bytes, and is for one use
        chunks = batching.split(len(refs), batch_size=self._batch_size, labels=labels, order=order)
        jobs = (_Job(rows, self._empty(len(rows))) for rows in chunks)

        def work(job: _Job, positions: range) -> list[Failure | None]:
            rows = job.rows[positions.start : positions.stop].tolist()
            seen = [AS_IT_IS if views is None else views.of(row) for row in rows]
            images = job.images[positions.start : positions.stop]
            ready = self._read_raw(images, [known[row] for row in rows], seen)
            slots = images.unbind()
            return [
                None if at in ready else self._fill(slots[at], refs[row], row, seen[at])
                for at, row in enumerate(rows)
            ]

        return _gathered(self._crew.ahead_by_task(jobs, work=work), labels)

    def _empty(self, count: int) -> torch.Tensor:
        return batching.empty_images(count, self._preprocess.size, pinned=self._pinned)

    def _read_raw(
        self, images: torch.Tensor, refs: Sequence[ImageRef], views: Sequence[View]
    ) -> set[int]:
        """Read the raw images that are not cropped; return which were read."""
        wanted = [
            ref if ref.raw is not None and view.crop is None else None
            for ref, view in zip(refs, views, strict=True)
        ]
        if not any(wanted):
            return set()
        pixels = images.permute(0, 2, 3, 1).numpy()
        ready = read_into(pixels, wanted, max_pixels=self._max_pixels)
        for at in ready:
            complete(images[at], views[at])
        return ready

    def _fill(self, slot: torch.Tensor, ref: ImageRef, row: int, view: View) -> Failure | None:
        def fill() -> None:
            decode_into(
                slot,
                image_file.read_content(ref, max_pixels=self._max_pixels),
                preprocess=self._preprocess,
                max_pixels=self._max_pixels,
                view=view,
                fitted=ref.raw is not None,
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
