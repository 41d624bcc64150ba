"""The host maker: libjpeg-turbo decodes, torch resizes, in threads; fast where there is no GPU."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from shards.errors import BadPicture
from shards.pictures import picture
from vocscore.pipeline import plan
from vocscore.pipeline.batch import Failure, Maker
from vocscore.pipeline.crew import Crew

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shards.sample import PictureRef
    from vocscore.pipeline.batch import Batch
    from vocscore.pipeline.preprocess import Preprocess


def fit(pixels: NDArray[np.uint8], *, out: torch.Tensor) -> None:
    """Resize one picture to a square: bilinear, antialiased.

    Args:
        pixels: uint8, shape (H, W, 3), C-contiguous.
        out: where to write it: uint8, shape (3, size, size), channels-last in memory.
    """
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    # What `F.interpolate(..., mode="bilinear", antialias=True)` calls, which has no `out`: writing
    # in place spares an eighth of the whole way from bytes to batch.
    torch.ops.aten._upsample_bilinear2d_aa.out(image, out.shape[1:], False, out=out[None])  # noqa: SLF001


def turn(images: torch.Tensor, orientations: Sequence[int]) -> None:
    """Turn square pictures upright, in place, by their EXIF orientations (EXIF 2.3, tag 0x0112).

    Args:
        images: shape (N, channels, size, size).
        orientations: N values, 1 (upright) to 8.
    """
    for value in set(orientations) - {1}:
        at = plan.index([i for i, o in enumerate(orientations) if o == value], images.device)
        some = images[at]
        if value >= 5:
            some = some.transpose(2, 3)
        axes = [2] * (value in (3, 4, 7, 8)) + [3] * (value in (2, 3, 6, 7))
        images[at] = some.flip(axes)


@dataclass(frozen=True)
class _Job:
    rows: NDArray[np.int64]
    images: torch.Tensor

    def __len__(self) -> int:
        return len(self.rows)


class HostMaker(Maker):
    """Makes batches on the CPU.

    Args:
        preprocess: what is done to each picture.
        batch_size: rows a batch.
        threads: pictures decoded at the same time; the machine's cores, as a rule.
        max_pixels: as for `picture.decode`.
    """

    def __init__(
        self, preprocess: Preprocess, *, batch_size: int, threads: int, max_pixels: int
    ) -> None:
        """Start the threads."""
        self._preprocess = preprocess
        self._batch_size = batch_size
        self._max_pixels = max_pixels
        self._crew = Crew(threads)

    def batches(
        self,
        pictures: Sequence[PictureRef],
        *,
        labels: NDArray[np.int8] | None = None,
        order: Sequence[int] | None = None,
    ) -> Iterator[Batch]:
        """Decode every picture once, a few batches ahead; see `Maker.batches`.

        Raises:
            RuntimeError: something other than a bad picture went wrong; names the picture.
        """
        size = self._preprocess.size
        chunks = plan.split(len(pictures), batch_size=self._batch_size, labels=labels, order=order)
        jobs = (_Job(rows, plan.empty_images(len(rows), size)) for rows in chunks)

        def work(job: _Job, position: int) -> Failure | None:
            row = int(job.rows[position])
            return self._fill(job.images[position], pictures[row], row)

        return _gathered(self._crew.ahead(jobs, work=work), labels)

    def _fill(self, slot: torch.Tensor, ref: PictureRef, row: int) -> Failure | None:
        with plan.naming(ref):
            try:
                pixels = picture.decode(
                    picture.read_bytes(ref),
                    upright=self._preprocess.upright,
                    max_pixels=self._max_pixels,
                )
            except BadPicture as bad:
                return Failure(row, bad.reason, bad.detail)
            fit(pixels, out=slot)
        return None

    def close(self) -> None:
        """End the threads."""
        self._crew.close()


def _gathered(
    done: Generator[tuple[_Job, list[Failure | None]]], labels: NDArray[np.int8] | None
) -> Iterator[Batch]:
    with closing(done):  # a consumer that stops early stops the threads, too
        for job, results in done:
            failures = [result for result in results if result is not None]
            yield plan.gather(job.images, rows=job.rows, failures=failures, labels=labels)
