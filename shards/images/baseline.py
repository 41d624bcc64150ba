"""Baseline JPEGs at 1/8 by code of our own in C, where it was built: 1.4 to 2 times as fast.

libjpeg-turbo decodes all coefficients to use a few of them; `native/baseline.h` says what is done
instead. It is optional: without a C compiler at installation, libjpeg-turbo decodes all images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

try:
    from shards.images import _baseline
except ImportError:  # it was not built
    _native: ModuleType | None = None
else:
    _native = _baseline


def decode_eighth(data: bytes, *, width: int, height: int) -> NDArray[np.uint8] | None:
    """Decode an image at 1/8, with the pixels of libjpeg-turbo.

    Args:
        data: the whole file, whose color space is YCbCr or gray.
        width: as stored, pixels.
        height: as stored, pixels.

    Returns:
        uint8, shape (height / 8, width / 8, 3), both rounded up. None if this is not a baseline
        JPEG that is complete and in order, or if the code was not built: libjpeg-turbo then
        decodes the image, or finds what is wrong with it.
    """
    if _native is None:
        return None
    pixels: bytearray | None = _native.decode_eighth(data)
    shape = (height + 7) // 8, (width + 7) // 8, 3
    if pixels is None or len(pixels) != shape[0] * shape[1] * shape[2]:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(shape)
