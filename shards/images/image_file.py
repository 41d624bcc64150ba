"""Decodes one image on the CPU, strictly: an image that is not intact is refused.

The verdict (`BadImage` with its reason) is the same in every `ImageLoader`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shards.images import costs, exif, jpeg, pillow, scans
from shards.images.budget import PIXELS
from shards.images.reading import most_bytes, read_bytes, read_content

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Decoded",
    "Header",
    "check",
    "decode",
    "decode_to_resize",
    "most_bytes",
    "probe",
    "read_bytes",
    "read_content",
    "resize_jpeg",
]


_INKS = ("CMYK", "YCCK")
"""Color spaces that are always decoded in full."""
_FILLED = 1 << 24
"""Pixels by which an image's tiles may exceed the image."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an image's header says.

    Attributes:
        format: Pillow's name, such as 'JPEG' or 'PNG'.
        width: pixels, as stored, before the EXIF orientation is applied.
        height: pixels, as stored, before the EXIF orientation is applied.
    """

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image to be resized.

    Attributes:
        pixels: uint8, shape (H, W, 3), C-contiguous.
        width: how many of the W columns the image covers; less than W if, in an image decoded at
            reduced size, the last column covers fewer original pixels than the others.
        height: the same for the H rows.
        reduced: the factor by which it is smaller than stored.
        orientation: by EXIF, 1 to 8, to be applied to the resized image.
    """

    pixels: NDArray[np.uint8]
    width: float
    height: float
    reduced: int
    orientation: int


def probe(data: bytes) -> Header:
    """Read format and size from the header; no pixel is decoded.

    Raises:
        BadImage: EMPTY, UNSUPPORTED, TRUNCATED or CORRUPT.
    """
    if data.startswith(jpeg.SIGNATURE):
        known = jpeg.header(data)
        if known is not None:
            return Header("JPEG", known[0], known[1])
    return _header(pillow.open_(data))


def check(data: bytes, *, max_pixels: int, whole: bool) -> Header:
    """Check whether an image can be used.

    Args:
        data: the whole file.
        max_pixels: largest accepted width times height.
        whole: check the whole file, as strictly as `decode` and for most JPEGs at 0.6 of its
            cost.

    Returns:
        Its header.

    Raises:
        BadImage: as for `decode`; without `whole`, only what the header reveals.
    """
    known = jpeg.header(data) if data.startswith(jpeg.SIGNATURE) else None
    if known is None:
        opened = _opened(data, max_pixels)
        if whole:
            PIXELS.claim(_needs(opened, data))
            pillow.decode(opened, data, upright=False)
        else:
            pillow.look(opened, data)
        return _header(opened)
    width, height, colors = known
    pillow.refuse_too_large(width, height, max_pixels)
    if whole and colors in jpeg.PLAIN_COLORS:
        PIXELS.claim(jpeg.decoding_bytes(data, width=width, height=height, reduced=8, a_pixel=1))
        jpeg.check(data)
    elif whole:
        decode(data, upright=False, max_pixels=max_pixels)
    return Header("JPEG", width, height)


def decode(
    data: bytes | NDArray[np.uint8], *, upright: bool = True, max_pixels: int
) -> NDArray[np.uint8]:
    """Decode an image to RGB, or refuse it.

    Alpha is dropped, gray is repeated, 16 bits become 8, a GIF yields its first frame.

    Args:
        data: the whole file; or pixels as this function returns them, which only their number
            can make bad.
        upright: turn the image by its EXIF orientation; one that makes no sense is ignored.
        max_pixels: width times height that is still decoded.

    Returns:
        uint8, shape (H, W, 3), C-contiguous.

    Raises:
        BadImage: EMPTY, UNSUPPORTED, TRUNCATED, CORRUPT, or TOO_LARGE (before decoding).
    """
    return _decode(data, None, upright=upright, max_pixels=max_pixels).pixels


def decode_to_resize(
    data: bytes | NDArray[np.uint8],
    side: int,
    *,
    upright: bool = True,
    max_pixels: int,
    of_longer: bool = False,
    thorough: bool = False,
) -> Decoded:
    """Decode what is going to be resized to a square: large JPEGs smaller than they are.

    `jpeg.reduction` is the rule. An image that is not reduced has the pixels of `decode`.

    Args:
        data: as for `decode`.
        side: both sides of the square, pixels; or as for `jpeg.reduction`.
        upright: as for `decode`.
        max_pixels: as for `decode`.
        of_longer: as for `jpeg.reduction`.
        thorough: look at the whole file, also at the scans of a progressive JPEG that are not
            used (`jpeg.decode_eighth`).

    Raises:
        BadImage: as for `decode`, for the same images; without `thorough`, not for damage in a
            scan that is not used.
    """
    return _decode(
        data,
        side,
        upright=upright,
        max_pixels=max_pixels,
        of_longer=of_longer,
        thorough=thorough,
    )


def without_unused(data: bytes, side: int, *, of_longer: bool = False) -> bytes | None:
    """Leave out of a file what `decode_to_resize` does not look at.

    Args:
        data: the whole file.
        side: as for `decode_to_resize`.
        of_longer: as for `jpeg.reduction`.

    Returns:
        The same image without its finest detail; None if all of the file is looked at.
    """
    known = jpeg.header(data) if data.startswith(jpeg.SIGNATURE) else None
    if known is None or known[2] in _INKS:
        return None
    reduced = jpeg.reduction(*known[:2], side=side, of_longer=of_longer)
    return scans.for_an_eighth(data) if reduced == 8 else None


def resize_jpeg(data: bytes, *, size: int, quality: int, max_pixels: int) -> bytes:
    """Re-encode an image as an upright square JPEG.

    Pillow's antialiased bilinear filter; chroma at half resolution (4:2:0), which every hardware
    decoder supports and which gives the smallest and fastest files; no metadata.

    Args:
        data: the whole file, any format that `decode` accepts.
        size: side of the square, pixels; the aspect ratio is not kept.
        quality: libjpeg's, 1 to 100.
        max_pixels: as for `decode`.

    Raises:
        BadImage: as for `decode`.
    """
    whole = decode_to_resize(data, size, upright=True, max_pixels=max_pixels, thorough=True)
    covered = (0, 0, whole.width, whole.height)
    square = Image.fromarray(whole.pixels).resize((size, size), Image.Resampling.BILINEAR, covered)
    small = Image.fromarray(exif.turned(np.asarray(square), whole.orientation))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=quality, subsampling="4:2:0")
    return out.getvalue()


def _decode(
    data: bytes | NDArray[np.uint8],
    side: int | None,
    *,
    upright: bool,
    max_pixels: int,
    of_longer: bool = False,
    thorough: bool = False,
) -> Decoded:
    if not isinstance(data, bytes):
        pillow.refuse_too_large(data.shape[1], data.shape[0], max_pixels)
        return _in_full(data)
    known = jpeg.header(data) if data.startswith(jpeg.SIGNATURE) else None
    if known is None:
        opened = _opened(data, max_pixels)
        PIXELS.claim(_needs(opened, data))
        return _in_full(pillow.decode(opened, data, upright=upright))
    width, height, colors = known
    pillow.refuse_too_large(width, height, max_pixels)
    if colors in _INKS:
        needs = jpeg.decoding_bytes(data, width=width, height=height, a_pixel=costs.PILLOW)
        PIXELS.claim(needs)
        # Pillow knows the convention by which inks are stored inverted, TurboJPEG does not;
        # TurboJPEG only checks that the image is intact.
        jpeg.decode(data, colors="CMYK")
        return _in_full(pillow.decode(pillow.open_(data), data, upright=upright))
    reduced = 1
    if side is not None:
        reduced = jpeg.reduction(width, height, side=side, of_longer=of_longer)
    orientation = jpeg.orientation(data) if upright else 1
    needs = jpeg.decoding_bytes(data, width=width, height=height, reduced=reduced)
    if reduced == 1:
        # A copy: of the image turned upright or cropped, or of it resized along one axis.
        whole = side is None or orientation != 1
        narrow = (side or 0) * max(width, height)
        needs += costs.PIXEL * max(narrow, width * height if whole else 0)
    PIXELS.claim(needs)
    if reduced == 8 and not thorough:
        pixels = jpeg.decode_eighth(data, colors, width=width, height=height)
    else:
        least = (-(-width // reduced), -(-height // reduced)) if reduced > 1 else (0, 0)
        pixels = jpeg.decode(data, least=least)
    if reduced == 1:
        return _in_full(exif.turned(pixels, orientation))
    return Decoded(pixels, width / reduced, height / reduced, reduced, orientation)


def _opened(data: bytes, max_pixels: int) -> pillow.Opened:
    opened = pillow.open_(data)
    pillow.refuse_too_large(opened.width, opened.height, max_pixels)
    pillow.refuse_too_large(*opened.coded, max_pixels + _FILLED)
    return opened


def _needs(opened: pillow.Opened, data: bytes) -> int:
    """Memory that decoding takes; a JPEG whose subsampling TurboJPEG does not support is here."""
    if not data.startswith(jpeg.SIGNATURE):
        return opened.needs
    size = {"width": opened.width, "height": opened.height}
    return jpeg.decoding_bytes(data, **size, a_pixel=costs.PILLOW)


def _in_full(pixels: NDArray[np.uint8]) -> Decoded:
    height, width = pixels.shape[:2]
    return Decoded(pixels, width, height, reduced=1, orientation=1)


def _header(opened: pillow.Opened) -> Header:
    return Header(opened.format, opened.width, opened.height)
