"""Decides which images DALI's graph decodes; the reading threads decode the others.

The choice depends on the file and the preprocessing alone: one that depended on the batch would let
pixels depend on it. The graph gets the JPEGs that a GPU's engines decode and that the host would
decode in full, too; `jpeg.reduction` is the limit, 2.1 megapixels for squares of 256x256.

The reasons, in milliseconds of a core (measured on an AMD EPYC) and images per second of 16 cores
or of an H100's seven engines (by arithmetic: 4.1 gigapixels per second, from the published rate of
an A100's five; `python -m bench gpu` measures them):

    JPEG                      check      host, with resize    engines
    12 megapixels, at 1/8     31  510    22   730              340
    3.1 megapixels, at 1/4    11 1500    16  1000             1300
    1.9 megapixels, in full   6.9 2300   14  1100             2100
    VOC, in full              0.9 19000  2.0 8200            23000
    VOC, progressive          2.6 6200   3.5 4500                -

Before the graph decodes an image, the check has read every coefficient. At 1/8 the check alone
takes longer than the host. At 1/4 the engines may be a little faster, but then images of that size
would have other pixels on a GPU than on a CPU. Progressive files are not for engines: the graph
would read their coefficients on the CPU a second time. Large images that are cropped at random
(only in training) are decoded in full on the host as well, so that the GPU's memory stays free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from shards.images import image_file, jpeg
from shards.images.jpeg_engines import suits_engines
from vocscore.pipeline import batching, host
from vocscore.pipeline.batch import Failure
from vocscore.pipeline.color import recolor
from vocscore.pipeline.dali_decoder import SHAPES, SIZES, SQUARES, STARTS
from vocscore.pipeline.geometry import LONGEST, place, resized_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shards.sample import ImageRef
    from vocscore.pipeline.augment import Box, View
    from vocscore.pipeline.dali_decoder import Inputs
    from vocscore.pipeline.geometry import Placement
    from vocscore.pipeline.preprocess import Preprocess

MOST_PIXELS: Final = 1 << 24
"""Pixels of the largest image for the graph, 50 MB when decoded.

Only with networks for large images. A batch of 64 of them takes 3.2 GB of the GPU's memory, and
three batches are there at a time; the host decodes them within its own bound
(`shards.images.budget`).
"""
_MOST_REDUCED: Final = 64
"""Pixels of an image per pixel of its square. DALI decodes a whole batch before it resizes it, 805
MB for 64 images at 256; twice as many pixels as any image has that is not long and narrow."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A JPEG to be decoded by the graph.

    Attributes:
        data: the whole file.
        ref: its source.
        box: the random crop of the stored image; None: no crop.
        placed: where the stored image goes in the square; None: it is squashed, or cropped first.
        turned: the EXIF orientation that makes the result upright, and mirrors it if needed.
        view: the augmentation that box and orientation come from.
    """

    data: bytes
    ref: ImageRef
    box: Box | None
    placed: Placement | None
    turned: int
    view: View


Prepared = Jpeg | torch.Tensor | Failure
"""A row after reading: for the graph, already decoded (uint8, (3, size, size)), or bad."""


@dataclass(frozen=True, slots=True)
class Router:
    """Reads images and chooses the decoder of each.

    Attributes:
        preprocess: the preprocessing of each image.
        max_pixels: as for `image_file.decode`.
    """

    preprocess: Preprocess
    max_pixels: int

    def prepare(self, ref: ImageRef, row: int, view: View) -> Prepared:
        """Read a row: a JPEG for the graph, or the image as the host path decodes it."""

        def read() -> Jpeg | torch.Tensor:
            data = image_file.read_content(ref, max_pixels=self.max_pixels)
            if isinstance(data, bytes) and is_for_dali(data, self.preprocess, self.max_pixels):
                if ref.sha256 is None:  # else reading compared the bytes with those packed
                    jpeg.check(data)
                return self._for_dali(data, ref, view)
            return self._on_host(data, view, fitted=ref.raw is not None)

        return batching.attempt(read, ref=ref, row=row)

    def decode(self, row: int, item: Prepared) -> Prepared:
        """Decode on the host an image that the graph failed to decode."""
        if not isinstance(item, Jpeg):
            return item
        one = item
        return batching.attempt(lambda: self._on_host(one.data, one.view), ref=one.ref, row=row)

    def _for_dali(self, data: bytes, ref: ImageRef, view: View) -> Jpeg:
        orientation = jpeg.orientation(data) if self.preprocess.upright else 1
        box = placed = None
        if view.crop is not None or self.preprocess.fit != "squash":
            head = image_file.probe(data)
            width, height = head.width, head.height
            upright = (width, height) if orientation < 5 else (height, width)
            if view.crop is not None:
                box = view.crop.box(*upright).stored(orientation, width=width, height=height)
            else:
                placed = place(*upright, self.preprocess)
                placed = placed.stored(orientation, width=width, height=height)
        return Jpeg(data, ref, box, placed, view.turned(orientation), view)

    def _on_host(
        self, data: bytes | NDArray[np.uint8], view: View, *, fitted: bool = False
    ) -> torch.Tensor:
        image = batching.empty_images(1, self.preprocess.size)[0]
        host.decode_into(
            image,
            data,
            preprocess=self.preprocess,
            max_pixels=self.max_pixels,
            view=view,
            fitted=fitted,
        )
        return image


def is_for_dali(data: bytes, preprocess: Preprocess, max_pixels: int) -> bool:
    """Whether the graph can decode a file, provided that it is undamaged.

    Args:
        data: the whole file.
        preprocess: the preprocessing of each image.
        max_pixels: as for `image_file.decode`.

    Raises:
        BadImage: a JPEG without a usable header.
    """
    if not data.startswith(jpeg.SIGNATURE):
        return False
    header = jpeg.header(data)
    if header is None:
        return False
    width, height, colors = header
    if colors not in jpeg.PLAIN_COLORS or width * height > min(max_pixels, MOST_PIXELS):
        return False
    # The graph resizes whole images; of these the middle is used.
    if preprocess.fit == "crop" and max(width, height) > LONGEST * min(width, height):
        return False
    side = resized_side(preprocess)
    if width * height > _MOST_REDUCED * side * side:
        return False
    reduced = jpeg.reduction(width, height, side=side, of_longer=preprocess.fit == "pad")
    return reduced == 1 and suits_engines(data)


def inputs_of(jpegs: Sequence[Jpeg]) -> Inputs:
    """Return the graph's inputs beside the files."""
    found: dict[str, list[Any]] = {}

    def add(name: str, dtype: type, *values: int) -> None:
        found.setdefault(name, []).append(np.array(values, dtype))

    for item in jpegs:
        box, placed = item.box, item.placed
        if box is not None:
            add(STARTS, np.int32, box.top, box.left)
            add(SHAPES, np.int32, box.height, box.width)
        elif placed is not None:
            add(SIZES, np.float32, placed.height, placed.width)
            add(SQUARES, np.int32, placed.square.top, placed.square.left)
    return found


def complete(decoded: torch.Tensor, jpegs: Sequence[Jpeg]) -> None:
    """Turn, mirror and recolor in place, which the graph does not do."""
    host.turn(decoded, [item.turned for item in jpegs])
    # In one batch either all are recolored or none. DALI's own operators compute contrast around a
    # fixed gray, which differs from what other training code does.
    colors = [item.view.colors for item in jpegs if item.view.colors is not None]
    if colors:
        recolor(decoded, colors)
