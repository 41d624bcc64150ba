"""Decodes all formats except ordinary JPEG with Pillow, made strict where Pillow is lenient."""

from __future__ import annotations

import io
import logging
import re
import warnings
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Final, TypeVar

from PIL import (
    AvifImagePlugin,
    Image,
    ImagePalette,
    TiffImagePlugin,
    UnidentifiedImageError,
    features,
)

from shards.errors import BadImage, Fault, Reason
from shards.images import costs, exif, heif, isobmff, kinds, libtiff, memory, png, spng, tiff, webp
from shards.images.rgb import to_rgb
from shards.images.tiff_directory import BITS, Directory

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

_T = TypeVar("_T")

# Pillow's limit is one number per process; here each call has its own `max_pixels`, checked
# against the header. Set once, at import: toggling it per call would race between threads.
Image.MAX_IMAGE_PIXELS = None
# Pillow's own reader of uncompressed TIFFs mistakes 16-bit planes for 8-bit ones and does not
# notice missing strips; libtiff handles both correctly. Also set once.
TiffImagePlugin.READ_LIBTIFF = bool(features.check("libtiff"))
# By default every decoding thread would decode an AVIF with one thread per core.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# Pillow warns on standard error about odd metadata, which is not used here. Also set once.
warnings.filterwarnings("ignore", module=r"PIL\..*")
logging.getLogger("PIL").addHandler(logging.NullHandler())


_UNKNOWN_TIFF: Final = re.compile(r"unknown (pixel mode|data organization)|\d+")
"""Pillow's message for an unknown layout or, as a number, an unknown compression."""


def _nothing() -> None:
    """Default of `Opened.look`: the header was enough."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An image whose header was read.

    Attributes:
        format: Pillow's name, such as 'PNG'; 'HEIC', which Pillow does not know.
        width: pixels, as stored, before it is turned upright.
        height: pixels, as stored, before it is turned upright.
        coded: width and height of the largest intermediate image of decoding.
        needs: memory that decoding takes beside the file, bytes.
        pixels: decodes: uint8, shape (H, W, 3), as stored, and the orientation, 1 to 8, that
            turns them upright.
        look: raises what can be detected without decoding but not from the header.
    """

    format: str
    width: int
    height: int
    coded: tuple[int, int]
    needs: int
    pixels: Callable[[], tuple[NDArray[np.uint8], int]]
    look: Callable[[], object] = _nothing


def open_(data: bytes) -> Opened:
    """Read an image's header.

    Its first bytes determine the format, and only that format's decoder is tried: Pillow would
    also start other programs (EPS) or load stubs.

    Raises:
        BadImage: EMPTY, UNSUPPORTED, TRUNCATED or CORRUPT.
        MemoryError: not enough memory.
    """
    if not data:
        raise BadImage(Fault(Reason.EMPTY, "no bytes"))
    kind = kinds.kind_of(data)
    opener = _OPENERS.get(kind.name) if kind else None
    if opener is None:
        raise BadImage(kinds.not_decoded(kind))
    return _judged(partial(opener, data), data)


def look(opened: Opened, data: bytes) -> None:
    """Refuse an image if it can be refused without decoding.

    Raises:
        BadImage: as for `decode`.
        MemoryError: not enough memory.
    """
    _judged(opened.look, data)


def decode(opened: Opened, data: bytes, *, upright: bool) -> NDArray[np.uint8]:
    """Decode what `open_` opened.

    Args:
        opened: the result of `open_`.
        data: the whole file, again.
        upright: apply the image's orientation.

    Returns:
        uint8, shape (H, W, 3), C-contiguous.

    Raises:
        BadImage: UNSUPPORTED, TRUNCATED or CORRUPT.
        MemoryError: not enough memory.
    """
    try:
        pixels, orientation = _judged(opened.pixels, data)
    except BadImage as bad:
        # libwebp and dav1d report only that they failed
        if bad.fault.reason is Reason.CORRUPT:
            memory.look_for(opened.needs)
        raise
    return exif.turned(pixels, orientation) if upright else pixels


def pixels_of(image: Image.Image, *, upright: bool, max_pixels: int) -> NDArray[np.uint8]:
    """Take the pixels of an image that a program holds, by the rules for those of a file.

    Args:
        image: of any mode; one that Pillow has opened and not yet decoded is decoded.
        upright: turn it by the EXIF that came with it, as `decode` does.
        max_pixels: width times height that is still decoded.

    Returns:
        uint8, shape (H, W, 3), C-contiguous; a copy.

    Raises:
        BadImage: UNSUPPORTED (32 bits a sample), TOO_LARGE, EMPTY (no pixel), TRUNCATED or
            CORRUPT (of one that is decoded here).
        MemoryError: there is not enough.
    """
    if 0 in image.size:
        raise BadImage(Fault(Reason.EMPTY, "no pixels"))
    refuse_too_large(image.width, image.height, max_pixels)
    pixels, orientation = _judged(lambda: _loaded(image), b"")
    return exif.turned(pixels, orientation) if upright else pixels


def refuse_too_large(width: int, height: int, max_pixels: int) -> None:
    """Raise BadImage (TOO_LARGE) for more pixels than are decoded."""
    if width * height > max_pixels:
        line = f"{width} x {height} is more than {max_pixels} pixels (max_pixels)"
        raise BadImage(Fault(Reason.TOO_LARGE, line))


def _judged(work: Callable[[], _T], data: bytes) -> _T:
    """Run a decoder and convert its exceptions to a verdict."""
    try:
        return work()
    except (BadImage, MemoryError):
        raise
    except Exception as error:  # Pillow's readers may raise anything on damaged bytes
        if memory.is_exhausted(error):
            raise MemoryError(str(error)) from error
        raise BadImage(_refusal(error, data)) from error


def _refusal(error: Exception, data: bytes) -> Fault:
    line = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UnidentifiedImageError):  # its text is the repr of an object
        line = "its header cannot be read"
    told = line.lower()
    early = isinstance(error, EOFError) or "truncated" in told or "not enough image data" in told
    # GIF's reader reports a truncated file in many ways.
    early = early or (data.startswith(b"GIF8") and not data.endswith(b";"))
    return Fault(Reason.TRUNCATED if early else Reason.CORRUPT, line)


def _image(data: bytes, form: str) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=(form,))


def _opened(
    form: str,
    size: tuple[int, int],
    pixels: Callable[[], tuple[NDArray[np.uint8], int]],
    *,
    a_pixel: int = costs.PILLOW,
) -> Opened:
    return Opened(form, *size, size, a_pixel * size[0] * size[1], pixels)


# Openers: one per format.


def _open_plain(data: bytes, form: str) -> Opened:
    """Open a file that Pillow reads unmodified."""
    image = _image(data, form)
    return _opened(image.format or form, image.size, partial(_taken, image))


def _loaded(image: Image.Image) -> tuple[NDArray[np.uint8], int]:
    image.load()
    tiff_of_exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    return to_rgb(image), exif.orientation(tiff_of_exif)


def _taken(image: Image.Image) -> tuple[NDArray[np.uint8], int]:
    """Do the same with an image that nobody else has, and free its memory."""
    found = _loaded(image)
    image.close()
    return found


def _open_png(data: bytes) -> Opened:
    return _opened("PNG", png.size(data), lambda: _decode_png(data))


def _decode_png(data: bytes) -> tuple[NDArray[np.uint8], int]:
    plain = png.plain(data)
    if spng.takes(data[24], data[25]):
        parts, size = png.parts(plain), png.size(data)
        pixels = spng.decode(plain, *size) if parts.usual else None
        if pixels is not None:
            return pixels, exif.orientation(parts.exif)
    return _taken(_image(plain, "PNG"))


def _open_webp(data: bytes) -> Opened:
    size = webp.size(data)
    return _opened("WEBP", size, lambda: _first_frame(data), a_pixel=costs.WEBP)


def _first_frame(data: bytes) -> tuple[NDArray[np.uint8], int]:
    plain, found = webp.plain(data)
    pixels, _ = _taken(_image(plain, "WEBP"))
    return pixels, exif.orientation(found.removeprefix(b"Exif\0\0"))


def _open_tiff(data: bytes) -> Opened:
    directory = Directory(data)
    size = directory.size()
    # Deferred: the size must be checked first.
    image = cache(lambda: _readable_tiff(directory, data))
    a_pixel = costs.DEEP_TIFF if directory.value(BITS, 1) > 8 else costs.PILLOW
    needs = a_pixel * size[0] * size[1] + len(data)
    return Opened("TIFF", *size, size, needs, lambda: _decode_tiff(*image()), image)


def _readable_tiff(directory: Directory, data: bytes) -> tuple[Image.Image, tiff.Readable]:
    readable = tiff.readable(directory, data)
    try:
        # Not with `Image.open`, which does not say why it failed.
        return TiffImagePlugin.TiffImageFile(io.BytesIO(readable.data)), readable
    except SyntaxError as error:
        if _UNKNOWN_TIFF.fullmatch(str(error)):
            raise BadImage(tiff.unknown(directory)) from error
        raise


def _decode_tiff(image: Image.Image, readable: tiff.Readable) -> tuple[NDArray[np.uint8], int]:
    if readable.colors is not None:
        image.palette = ImagePalette.raw("RGB;L", readable.colors)
    with libtiff.errors_kept() as messages:
        try:
            image.load()
        except Exception as error:  # as in `_judged`
            raise tiff.refusal(error, messages) from error
    if damage := tiff.damage(messages):
        raise BadImage(damage)
    pixels = to_rgb(image, highest=readable.highest, negative=readable.negative)
    image.close()
    return pixels, readable.orientation


def _open_avif(data: bytes) -> Opened:
    if not features.check("avif"):
        raise BadImage(
            Fault(
                Reason.UNSUPPORTED,
                "AVIF is not supported by this build of Pillow. Run: pip install 'pillow>=11.3'",
            )
        )
    still = isobmff.still(data)
    if still is None:  # a video, of which Pillow reads the first frame
        return _open_plain(data, "AVIF")
    plain = isobmff.without_exif(data)
    # Pillow does not crop the padding that encoders add to fill their blocks.
    needs = costs.AV1 * still.coded[0] * still.coded[1]
    return Opened("AVIF", *still.filled, still.coded, needs, lambda: _taken(_image(plain, "AVIF")))


def _open_heic(data: bytes) -> Opened:
    still = heif.still(data)

    def pixels() -> tuple[NDArray[np.uint8], int]:
        image = heif.decode(data)  # already upright
        bits = image.info["bit_depth"]
        upright = to_rgb(image, highest=((1 << bits) - 1) << (16 - bits))
        image.close()
        return exif.turned(upright, exif.undone(still.orientation)), still.orientation

    needs = costs.HEVC * still.coded[0] * still.coded[1]
    return Opened(heif.FORMAT, still.width, still.height, still.coded, needs, pixels)


_OPENERS: Final[dict[str, Callable[[bytes], Opened]]] = {
    "JPEG": partial(_open_plain, form="JPEG"),
    "PNG": _open_png,
    "WebP": _open_webp,
    "BMP": partial(_open_plain, form="BMP"),
    "TIFF": _open_tiff,
    "GIF": partial(_open_plain, form="GIF"),
    "PNM": partial(_open_plain, form="PPM"),
    "AVIF": _open_avif,
    "HEIC": _open_heic,
}
