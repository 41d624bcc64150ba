"""A 64-bit perceptual hash: images that look alike have hashes that differ in few bits.

Which low frequencies of a 32 x 32 gray image are above their median. As in the library imagehash,
they are the first 8 x 8; but the constant one, whose bit would always be 1, is left out of the
median, and its bit is 0.

On 100 photographs of VOC2012: no two hashes differ in fewer than 18 bits (4,950 pairs). Copies at
half or a quarter of the size, squeezed to a square, in gray or as PNG differ in at most 2; 99% of
those at JPEG quality 30, 95% of those 1.3 times as bright, and all that lose 1% at each border in
at most 6. Of those that lose 2% at each border it finds 89%, 5%: 20%; mirrored copies: none.

Source: pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from shards.images import exif, image_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE: Final = 32
"""Height and width to which an image is reduced, pixels."""
_KEPT: Final = 8
FLAT: Final = 24.0
"""Largest frequency of an image that is called flat: an amplitude of 1.5 of 255 gray levels.

What is left in such an image is the noise of its compression, which no copy shares."""


def _cosines() -> NDArray[np.float64]:
    """The first rows of the orthonormal DCT-II: shape (8, 32)."""
    frequency, place = np.arange(_KEPT)[:, None], np.arange(SIDE)[None]
    waves = np.cos(np.pi * frequency * (2 * place + 1) / (2 * SIDE))
    waves *= np.where(frequency == 0, np.sqrt(1 / SIDE), np.sqrt(2 / SIDE))
    return np.asarray(waves, np.float64)


_COSINES: Final = _cosines()


def hash_image(data: bytes, *, max_pixels: int) -> int | None:
    """Hash an image as it is shown: upright by its EXIF orientation.

    A large JPEG is decoded at a reduced size.

    Args:
        data: the whole file.
        max_pixels: width times height that is still decoded.

    Returns:
        64 bits; None if the image is flat, which has no hash.

    Raises:
        BadImage: it cannot be decoded.
    """
    whole = image_file.decode_to_resize(data, SIDE, max_pixels=max_pixels)
    covered = (0, 0, whole.width, whole.height)
    gray = Image.fromarray(whole.pixels).convert("L")
    small = np.asarray(gray.resize((SIDE, SIDE), Image.Resampling.BILINEAR, covered))
    return hash_gray(exif.turned(small[..., None], whole.orientation)[..., 0])


def hash_gray(pixels: NDArray[np.uint8]) -> int | None:
    """Hash a gray image.

    Args:
        pixels: uint8, shape (32, 32).

    Returns:
        64 bits, the frequencies row by row, the first one in the highest bit; None if it is flat.
    """
    found = (_COSINES @ pixels.astype(np.float64) @ _COSINES.T).ravel()
    found[0] = 0.0
    if np.abs(found).max() < FLAT:
        return None
    bits = found > np.median(found[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
