"""Makes the images of raw shards with the arithmetic of the host loader."""

from __future__ import annotations

from dataclasses import dataclass
from threading import local
from typing import TYPE_CHECKING, Final

import torch

from shards.images.budget import PIXELS
from shards.raw_images import RawForm
from vocscore.config.model import USUAL_FRACTION, parse_color
from vocscore.pipeline import batching
from vocscore.pipeline.host import decode_into
from vocscore.pipeline.raw import preprocess_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vocscore.config.packing import ImagesConfig

_MEAN_COLOR: Final = (124, 116, 104)
"""ImageNet's mean, rounded: the usual border of training, too."""
_settled: Final = local()


@dataclass(frozen=True, slots=True)
class HostRawMaker:
    """Makes raw images with the arithmetic of the host loader; see `RawMaker`.

    Attributes:
        form: what it makes.
        max_pixels: as for `image_file.decode`.
    """

    form: RawForm
    max_pixels: int

    def __call__(self, data: bytes) -> NDArray[np.uint8]:
        """Decode all of a file and fit it: uint8, shape (size, size, 3), C-contiguous.

        Raises:
            BadImage: as for `image_file.decode`.
        """
        if not hasattr(_settled, "once"):  # torch stores a number of threads per thread
            torch.set_num_threads(1)
            _settled.once = True
        PIXELS.claim(2 * self.form.bytes)  # the pixels, and the file of them
        out = batching.empty_images(1, self.form.size)
        decode_into(
            out[0],
            data,
            preprocess=preprocess_of(self.form),
            max_pixels=self.max_pixels,
            thorough=True,
        )
        pixels: NDArray[np.uint8] = out.permute(0, 2, 3, 1)[0].numpy()
        return pixels


def raw_maker(images: ImagesConfig, *, size: int) -> HostRawMaker:
    """Return what makes raw images of the options' form.

    Args:
        images: the options of packing.
        size: height and width of the images, pixels.

    Raises:
        OptionError: the pad color is not one.
    """
    fit, color = images.fit or "squash", (0, 0, 0)
    if fit == "pad":
        color = _MEAN_COLOR if images.pad_color is None else parse_color(images.pad_color)
    form = RawForm(
        size=size,
        fit=fit,
        interpolation=images.interpolation or "bilinear",
        crop_fraction=(images.crop_fraction or USUAL_FRACTION) if fit == "crop" else 1.0,
        pad_color=color,
    )
    return HostRawMaker(form, images.max_pixels)
