"""Makes thumbnails, and reads the facts of an image."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import simplejpeg
from PIL import Image, TiffImagePlugin

from shards.errors import BadImage
from shards.images import exif, jpeg
from shards.images.image_file import decode_to_resize, probe

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUALITY: Final = 82
_EXIF_ORIENTATION: Final = 0x0112


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says about its image.

    Attributes:
        format: Pillow's name, such as 'JPEG'.
        width: pixels as stored, before the orientation is applied.
        height: the same.
        orientation: by EXIF, 1 (upright) to 8.
        bytes: size of the file.
    """

    format: str
    width: int
    height: int
    orientation: int
    bytes: int


def facts(data: bytes) -> Facts:
    """Read the header of an image.

    Raises:
        BadImage: there is no usable header.
    """
    header = probe(data)
    return Facts(header.format, header.width, header.height, _orientation(data), len(data))


def _orientation(data: bytes) -> int:
    """The orientation that scoring applies: by EXIF alone, while Pillow would go by XMP as well."""
    if data.startswith(jpeg.SIGNATURE):
        return jpeg.orientation(data)
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if isinstance(opened, TiffImagePlugin.TiffImageFile):
                found = opened.tag_v2.get(_EXIF_ORIENTATION, 1)
                return int(found) if found in range(1, 9) else 1
            return exif.orientation(opened.info.get("exif", b"").removeprefix(b"Exif\0\0"))
    except Exception:  # noqa: BLE001 - Pillow's readers may raise anything on damaged bytes
        return 1


def thumbnail(data: bytes, side: int, *, max_pixels: int) -> bytes:
    """Make a small upright JPEG of an image.

    Args:
        data: the file.
        side: of the square that the result fits into, pixels; small images are not enlarged.
        max_pixels: images with more pixels are refused before they are decoded.

    Raises:
        BadImage: the image cannot be scored either, for the same reason.
    """
    found = decode_to_resize(data, side, upright=True, max_pixels=max_pixels)
    pixels = exif.turned(_fit(found.pixels, (found.width, found.height), side), found.orientation)
    return _encode(pixels)


def preview(data: bytes, side: int, *, max_pixels: int) -> bytes:
    """Make a thumbnail of what there is of a damaged image.

    A JPEG is decoded as far as it goes; its missing part is gray.

    Args:
        data: as for `thumbnail`.
        side: as for `thumbnail`.
        max_pixels: as for `thumbnail`.

    Raises:
        BadImage: nothing of it can be decoded.
    """
    try:
        return thumbnail(data, side, max_pixels=max_pixels)
    except BadImage:
        known = jpeg.header(data) if data.startswith(jpeg.SIGNATURE) else None
        if known is None or known[0] * known[1] > max_pixels:
            raise
        try:
            pixels = simplejpeg.decode_jpeg(data, min_width=side, min_height=side, strict=False)
        except ValueError:
            pixels = None
        if pixels is None:
            raise
    size = (pixels.shape[1], pixels.shape[0])
    return _encode(exif.turned(_fit(pixels, size, side), jpeg.orientation(data)))


def _fit(pixels: NDArray[np.uint8], size: tuple[float, float], side: int) -> NDArray[np.uint8]:
    """Resize to fit a square, antialiased; never enlarge.

    Args:
        pixels: uint8 (H, W, 3).
        size: width and height that the image covers; see `image_file.Decoded`.
        side: of the square, pixels.
    """
    scale = min(1.0, side / max(size))
    target = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    if target == (pixels.shape[1], pixels.shape[0]):
        return pixels
    resized = Image.fromarray(pixels).resize(target, Image.Resampling.BILINEAR, (0, 0, *size))
    return np.asarray(resized)


def _encode(pixels: NDArray[np.uint8]) -> bytes:
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=QUALITY, colorsubsampling="420"
    )
    return encoded
