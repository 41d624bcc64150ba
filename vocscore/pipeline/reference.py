"""The reference loader: Pillow and NumPy in one thread; slow, used to test the other two."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import ExifTags, Image

from shards.errors import BadImage
from shards.images import image_file, png
from vocscore.pipeline import batching
from vocscore.pipeline.augment import AS_IT_IS
from vocscore.pipeline.batch import Failure, ImageLoader
from vocscore.pipeline.color import GRAY
from vocscore.pipeline.geometry import place, resized_side
from vocscore.pipeline.raw import refuse_other_refs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from shards.sample import ImageRef
    from vocscore.pipeline.augment import Box, View, Views
    from vocscore.pipeline.batch import Batch
    from vocscore.pipeline.preprocess import Preprocess


_WAYS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Not by `ImageOps.exif_transpose`, which also writes EXIF, and fails where that is damaged."""
_BY_PILLOW = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "AVIF")


class ReferenceLoader(ImageLoader):
    """Makes batches with Pillow.

    `image_file.decode` only decides whether an image is broken, because Pillow decodes damaged
    JPEGs to wrong pixels; the pixels of good images are computed independently of it.

    Args:
        preprocess: the preprocessing of each image.
        batch_size: rows per batch.
        max_pixels: as for `image_file.decode`.
    """

    def __init__(self, preprocess: Preprocess, *, batch_size: int, max_pixels: int) -> None:
        self._preprocess = preprocess
        self._batch_size = batch_size
        self._max_pixels = max_pixels

    def batches(
        self,
        refs: Sequence[ImageRef],
        *,
        labels: NDArray[np.int8] | None = None,
        order: Sequence[int] | None = None,
        views: Views | None = None,
    ) -> Iterator[Batch]:
        """Decode every image once; see `ImageLoader.batches`.

        Raises:
            PreprocessError: as for the host loader.
        """
        refuse_other_refs(refs, self._preprocess)
        chunks = batching.split(len(refs), batch_size=self._batch_size, labels=labels, order=order)
        return (self._batch(refs, rows, labels, views) for rows in chunks)

    def _batch(
        self,
        refs: Sequence[ImageRef],
        rows: NDArray[np.int64],
        labels: NDArray[np.int8] | None,
        views: Views | None,
    ) -> Batch:
        images = batching.empty_images(len(rows), self._preprocess.size)
        failures = []
        for slot, row in zip(images, rows.tolist(), strict=True):
            view = AS_IT_IS if views is None else views.of(row)
            ref = refs[row]
            pixels = batching.attempt(partial(self._pixels, ref, view), ref=ref, row=row)
            if isinstance(pixels, Failure):
                failures.append(pixels)
            else:
                slot.copy_(torch.from_numpy(pixels).permute(2, 0, 1))
        return batching.gather(images, rows=rows, failures=failures, labels=labels)

    def _pixels(self, ref: ImageRef, view: View) -> NDArray[np.uint8]:
        """Return uint8, shape (size, size, 3)."""
        data = image_file.read_content(ref, max_pixels=self._max_pixels)
        upright, size = self._preprocess.upright, self._preprocess.size
        data, verdict = self._looked_at(data, view)
        image = _by_pillow(data, upright=upright) if isinstance(data, bytes) else None
        if image is None:
            image = Image.fromarray(verdict)
        way = _WAYS[self._preprocess.interpolation]
        if view.crop is not None:
            box = view.crop.box(image.width, image.height)
            image = image.crop(_corners(box)).resize((size, size), way)
        elif ref.raw is None:
            placed = place(image.width, image.height, self._preprocess)
            resized = image.crop(_corners(placed.part)).resize((placed.width, placed.height), way)
            image = Image.new("RGB", (size, size), self._preprocess.pad_color)
            image.paste(resized, (-placed.square.left, -placed.square.top))
        if view.mirrored:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = np.array(image)
        return pixels if view.colors is None else recolored(pixels, view.colors)

    def _looked_at(
        self, data: bytes | NDArray[np.uint8], view: View
    ) -> tuple[bytes | NDArray[np.uint8], NDArray[np.uint8]]:
        """Return what the pixels come from, and them by `image_file.decode`.

        Raises:
            BadImage: the image is refused by the other loaders too.
        """
        preprocess = self._preprocess
        full = partial(image_file.decode, upright=preprocess.upright, max_pixels=self._max_pixels)
        try:
            return data, full(data)
        except BadImage as bad:
            if view.crop is not None or not isinstance(data, bytes):
                raise
            side, of_longer = resized_side(preprocess), preprocess.fit == "pad"
            less = image_file.without_unused(data, side, of_longer=of_longer)
            if less is None:
                raise
            try:
                return less, full(less)
            except BadImage:
                raise bad from None

    def close(self) -> None:
        """Do nothing: nothing was started."""


def _corners(box: Box) -> tuple[int, int, int, int]:
    return box.left, box.top, box.left + box.width, box.top + box.height


def recolored(pixels: NDArray[np.uint8], colors: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Do the same as `color.recolor` for one image, shape (H, W, 3)."""
    brightness, contrast, saturation = colors
    values: NDArray[np.float64] = np.minimum(pixels * brightness, 255)
    values = np.clip(contrast * values + (1 - contrast) * (values @ GRAY).mean(), 0, 255)
    gray = (values @ GRAY)[:, :, None]
    values = np.clip(saturation * values + (1 - saturation) * gray, 0, 255)
    return np.rint(values).astype(np.uint8)


def _by_pillow(data: bytes, *, upright: bool) -> Image.Image | None:
    """Decode to RGB with Pillow alone; None for formats that Pillow decodes incorrectly.

    These are TIFF (it ignores signs, bit depths and negatives, and applies the orientation
    unasked), PNM of 16 bits, and HEIC, which it does not support: `tests/shards/images` compares
    them with their known content.
    """
    if data.startswith(png.SIGNATURE):
        data = png.plain(data)  # removes metadata because of which Pillow refuses some images
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=_BY_PILLOW)
        image.load()
    except OSError:
        return None
    return to_rgb(_upright(image) if upright else image)


def _upright(image: Image.Image) -> Image.Image:
    for name in ("xmp", "XML:com.adobe.xmp"):  # only EXIF counts; Pillow would use XMP as well
        image.info.pop(name, None)
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - Pillow may raise any exception on damaged EXIF data
        return image
    # A fraction may be equal to a whole number, but is no orientation.
    way = _TURNS.get(value) if isinstance(value, int) else None
    return image if way is None else image.transpose(way)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB; 16-bit gray is scaled, which Pillow alone would clip."""
    if image.mode.startswith("I;16"):
        gray = np.rint(np.asarray(image, dtype=np.float64) / 257)
        image = Image.fromarray(gray.astype(np.uint8))
    return image.convert("RGB")
