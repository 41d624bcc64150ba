"""Decodes JPEG strictly: libjpeg's warnings are treated as what they are, damage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import simplejpeg

from shards.errors import BadImage, Fault, Reason
from shards.images import baseline, costs, exif, memory, scans

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

SIGNATURE: Final = b"\xff\xd8\xff"
PLAIN_COLORS: Final = ("YCbCr", "Gray")
"""Color spaces that every decoder converts to the same RGB."""

_SOI: Final = b"\xff\xd8"
_EOI: Final = b"\xff\xd9"
_APP0, _APP1, _APP14, _APP15, _COM, _SOS = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE, 0xDA
_EXIF: Final = b"Exif\0\0"
_NOT_READ_HERE: Final = re.compile(
    r"unsupported jpeg (process|data precision)|not a jpeg|unsupported color conversion",
    re.IGNORECASE,
)
_ENDS_EARLY: Final = re.compile(
    r"premature end of jpeg file|jpeg datastream contains no image", re.IGNORECASE
)

# Minimum decoded pixels per pixel of the result, along each axis; see `reduction`.
_ROOM: Final = 1.4


def header(data: bytes) -> tuple[int, int, str] | None:
    """Read width, height and color space without decoding.

    Args:
        data: the whole file.

    Returns:
        Width and height as stored, pixels, and the color space: 'YCbCr', 'RGB', 'Gray', 'CMYK'
        or 'YCCK'. None if TurboJPEG does not support the chroma subsampling.

    Raises:
        BadImage: there is no usable header.
    """
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except (ValueError, KeyError) as error:  # KeyError: damage left the color space unknown
        if all(marker != _SOS for marker, _, _ in segments(data)):
            raise BadImage(_headless(data)) from error
        if "subsampling" in str(error):
            return None
        raise _refusal(error, data) from error
    return int(width), int(height), str(colors)


def reduction(width: int, height: int, *, side: int, of_longer: bool = False) -> int:
    """Choose the scale at which to decode an image that will be resized to a square.

    libjpeg-turbo omits fine detail in the inverse transform (DCT-scaled decoding), but still reads
    and checks every coefficient in the scans that it is given (see `scans`). The smaller of 1/8 and
    1/4 is used that leaves at least 1.4 pixels per pixel of the result, along both axes; else the
    image is decoded in full. The scale depends only on the three numbers, so training and scoring
    cannot disagree.

    Savings and errors compared with decoding in full, both then resized antialiased (4000x3000 to
    256x256, gray levels of 255; `tests/pipeline/test_reduced_pixels.py` checks the bounds):

    - 1/8 (used): half the time; drawn or enlarged photographs within 13, mean 0.6; a mosaic of
      sharp ones within 17, mean 1.3; black and white stripes of the worst period 28, mean 15.
    - 1/4 (if 2 pixels were required): two thirds of the time; 4, 0.2; 9, 0.4; 12, 3.

    Where only 1.4 pixels are left, the worst stripes are within 50, mean 23. 1/2 is not used: it
    saves a quarter, and images of that size (1000x750 for 256) are often sharp to the pixel,
    where it costs up to 55 levels, mean 1.

    Args:
        width: pixels.
        height: pixels.
        side: side of the square, pixels; or what the shorter side becomes, if the aspect ratio is
            kept.
        of_longer: `side` is what the longer side becomes, and the aspect ratio is kept.

    Returns:
        1, 4 or 8.
    """
    length = min(width, height)
    if of_longer:  # a line of pixels does not become less than a line
        side = max(1, round(side * length / max(width, height)))
    for divisor in (8, 4):
        if length >= _ROOM * divisor * side:
            return divisor
    return 1


def decoding_bytes(
    data: bytes, *, width: int, height: int, reduced: int = 1, a_pixel: int = costs.PIXEL
) -> int:
    """Return the memory that decoding takes beside the file, for `budget`.

    Args:
        data: the whole file.
        width: pixels, as stored.
        height: pixels, as stored.
        reduced: the pixels are 1/`reduced` of these, along each axis.
        a_pixel: bytes of each.
    """
    pixels = (width // reduced + 1) * (height // reduced + 1)
    kept = costs.coefficients((marker, data[start:end]) for marker, start, end in segments(data))
    return a_pixel * pixels + kept


def decode(
    data: bytes, *, colors: str = "RGB", least: tuple[int, int] = (0, 0)
) -> NDArray[np.uint8]:
    """Decode every pixel, or refuse the image.

    The image is refused at libjpeg's first warning: in 300 photographs with one flipped bit
    each, every warning but one said 'extraneous bytes before marker', and the pixels were wrong.
    The only warnings tolerated are those that disappear when the header parts that do not affect
    pixels (a color profile, the JFIF revision) are removed.

    Args:
        data: the whole file; `header` must know its color space.
        colors: 'RGB', or 'CMYK' for an image stored as CMYK.
        least: width and height, pixels; the image is decoded at the smallest of libjpeg-turbo's
            scales that is not smaller. (0, 0) means in full. The verdict is the same.

    Returns:
        uint8, shape (H, W, 3), or (H, W, 4) for CMYK, as stored (not turned upright).

    Raises:
        BadImage: TRUNCATED, CORRUPT or UNSUPPORTED.
    """
    try:
        return _strict(data, colors, least)
    except ValueError as error:
        bare = _bare(data)
        if bare is None or _ENDS_EARLY.search(str(error)):
            raise _refusal(error, data) from error
        try:
            return _strict(bare, colors, least)
        except ValueError:
            raise _refusal(error, data) from error


def decode_eighth(data: bytes, colors: str, *, width: int, height: int) -> NDArray[np.uint8]:
    """Decode an image at 1/8; a progressive one without the scans that this does not use.

    What those scans hold is not looked at: damage inside of them is not found. An image that
    `decode` accepts is accepted, with the same pixels.

    Args:
        data: as for `decode`.
        colors: its color space, by `header`; not CMYK or YCCK.
        width: as stored, pixels.
        height: as stored, pixels.

    Returns:
        uint8, shape (height / 8, width / 8, 3), both rounded up.

    Raises:
        BadImage: as for `decode`.
    """
    if colors in PLAIN_COLORS:
        pixels = baseline.decode_eighth(data, width=width, height=height)
        if pixels is not None:
            return pixels
    least = (-(-width // 8), -(-height // 8))
    less = scans.for_an_eighth(data)
    if less is not None:
        try:
            return decode(less, least=least)
        except BadImage:  # the whole file gives the verdict, and its words
            pass
    return decode(data, least=least)


def check(data: bytes) -> None:
    """Raise what `decode` would raise, at about 0.6 of its cost.

    Every coefficient is read; the inverse transform is omitted except for block averages.

    Raises:
        BadImage: as for `decode`.
    """
    try:
        simplejpeg.decode_jpeg(data, colorspace="GRAY", min_height=1, min_width=1, strict=True)
    except ValueError:
        decode(data)


def orientation(data: bytes) -> int:
    """Find the EXIF orientation, 1 (upright) to 8; 1 if it is missing or invalid.

    Several EXIF segments are read as one that is continued, as in Pillow: the first one counts.
    """
    parts = [data[start:end] for marker, start, end in segments(data) if marker == _APP1]
    return exif.orientation(
        b"".join(part[len(_EXIF) :] for part in parts if part.startswith(_EXIF))
    )


def _strict(data: bytes, colors: str, least: tuple[int, int]) -> NDArray[np.uint8]:
    width, height = least
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        data, colorspace=colors, min_width=width, min_height=height, strict=True
    )
    return pixels


def _headless(data: bytes) -> Fault:
    end = max((end for _, _, end in segments(data)), default=2)
    if end + 4 > len(data):
        return Fault(Reason.TRUNCATED, "the JPEG ends inside its header")
    return Fault(Reason.CORRUPT, f"the JPEG's header is damaged at byte {end}")


def _refusal(error: Exception, data: bytes) -> BadImage | MemoryError:
    if memory.is_exhausted(error):
        return MemoryError(str(error))
    line = " ".join(str(error).split())
    if _ENDS_EARLY.search(line) or data.rfind(_EOI) < data.rfind(b"\xff\xda"):
        return BadImage(Fault(Reason.TRUNCATED, line))
    if _NOT_READ_HERE.search(line):
        return BadImage(Fault(Reason.UNSUPPORTED, line))
    return BadImage(Fault(Reason.CORRUPT, line))


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of each segment's payload, up to and including the first SOS."""
    at, length = 2, len(data)
    while at + 4 <= length and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        end = at + 2 + (data[at + 2] << 8 | data[at + 3])
        yield marker, at + 4, end
        if marker == _SOS:
            return
        at = end


def _bare(data: bytes) -> bytes | None:
    """Remove the parts of the header that do not affect pixels; None if it is malformed."""
    parts = [_SOI]
    for marker, start, end in segments(data):
        if marker == _SOS:
            return b"".join([*parts, data[start - 4 :]])
        segment = data[start - 4 : end]
        if marker == _APP0 and segment[4:9] == b"JFIF\0":
            # Its presence implies YCbCr; its revision is irrelevant.
            parts.append(segment[:9] + b"\x01\x01" + segment[11:])
        elif not _APP0 <= marker <= _APP15 or marker == _APP14:
            parts.append(segment if marker != _COM else b"")
    return None
