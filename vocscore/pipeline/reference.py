"""The reference maker: Pillow and NumPy, one thread, no haste; the truth for the other two."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps

from shards.errors import BadPicture
from shards.pictures import picture
from vocscore.pipeline import plan
from vocscore.pipeline.batch import Failure, Maker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from shards.sample import PictureRef
    from vocscore.pipeline.batch import Batch
    from vocscore.pipeline.preprocess import Preprocess


class ReferenceMaker(Maker):
    """Makes batches with Pillow alone.

    Only the verdict on a broken picture is `picture.decode`'s, because Pillow accepts JPEGs whose
    pixels are wrong; the pixels of the good ones are made independently of it.

    Args:
        preprocess: what is done to each picture.
        batch_size: rows a batch.
        max_pixels: as for `picture.decode`.
    """

    def __init__(self, preprocess: Preprocess, *, batch_size: int, max_pixels: int) -> None:
        """Keep the settings; nothing is started."""
        self._preprocess = preprocess
        self._batch_size = batch_size
        self._max_pixels = max_pixels

    def batches(
        self,
        pictures: Sequence[PictureRef],
        *,
        labels: NDArray[np.int8] | None = None,
        order: Sequence[int] | None = None,
    ) -> Iterator[Batch]:
        """Decode every picture once; see `Maker.batches`."""
        chunks = plan.split(len(pictures), batch_size=self._batch_size, labels=labels, order=order)
        return (self._batch(pictures, rows, labels) for rows in chunks)

    def _batch(
        self,
        pictures: Sequence[PictureRef],
        rows: NDArray[np.int64],
        labels: NDArray[np.int8] | None,
    ) -> Batch:
        images = plan.empty_images(len(rows), self._preprocess.size)
        failures = []
        for slot, row in zip(images, rows.tolist(), strict=True):
            with plan.naming(pictures[row]):
                try:
                    slot.copy_(torch.from_numpy(self._pixels(pictures[row])).permute(2, 0, 1))
                except BadPicture as bad:
                    failures.append(Failure(row, bad.reason, bad.detail))
        return plan.gather(images, rows=rows, failures=failures, labels=labels)

    def _pixels(self, ref: PictureRef) -> NDArray[np.uint8]:
        """Return uint8, shape (size, size, 3)."""
        data = picture.read_bytes(ref)
        upright, size = self._preprocess.upright, self._preprocess.size
        verdict = picture.decode(data, upright=upright, max_pixels=self._max_pixels)
        image: Image.Image = Image.open(io.BytesIO(data))
        if upright:
            image = _upright(image)
        elif image.format == "TIFF":  # which Pillow turns unasked
            image = Image.fromarray(verdict)
        return np.array(to_rgb(image).resize((size, size), Image.Resampling.BILINEAR))

    def close(self) -> None:
        """Do nothing: nothing was started."""


def _upright(image: Image.Image) -> Image.Image:
    for name in ("xmp", "XML:com.adobe.xmp"):  # the rule is EXIF; Pillow would ask XMP as well
        image.info.pop(name, None)
    return ImageOps.exif_transpose(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Bring any mode to RGB; 16 bits of gray are scaled, where Pillow alone would clip them."""
    if image.mode.startswith("I;16"):
        gray = np.rint(np.asarray(image, dtype=np.float64) / 257)
        image = Image.fromarray(gray.astype(np.uint8))
    return image.convert("RGB")
