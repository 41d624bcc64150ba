"""Every format but ordinary JPEG, by Pillow, made strict where Pillow is lenient."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from shards.errors import BadPicture, Reason
from shards.pictures import exif

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Pillow's limit is one number for the process; here each call has its own `max_pixels`, decided
# from the header. Set once, at import: toggling it for a call would race between threads.
Image.MAX_IMAGE_PIXELS = None
# Pillow tells of odd metadata, which nobody reads here, on standard error. Likewise once.
warnings.filterwarnings("ignore", module=r"PIL\..*")
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Named, because Pillow would also open formats that start other programs (EPS) or fetch stubs.
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_SIGNATURES: Final = (b"\xff\xd8\xff", _PNG, b"BM", b"GIF8", b"II*\0", b"MM\0*")


def open_(data: bytes) -> Image.Image:
    """Read a picture's header.

    Raises:
        BadPicture: EMPTY, UNSUPPORTED, TRUNCATED or CORRUPT.
    """
    if not data:
        raise BadPicture(Reason.EMPTY, "no bytes")
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        if not data.startswith(_SIGNATURES) and data[8:12] != b"WEBP":
            raise BadPicture(Reason.UNSUPPORTED, "not a picture that is read here") from error
        raise _refusal(ValueError("its header cannot be read"), data) from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise anything on damaged bytes
        raise _refusal(error, data) from error


def _orientation_of_tiff(picture: Image.Image) -> int:
    value = picture.tag_v2.get(0x0112) if isinstance(picture, TiffImageFile) else 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def stored_size(picture: Image.Image) -> tuple[int, int]:
    """Return width and height, pixels, before EXIF turns the picture."""
    width, height = picture.size
    if _orientation_of_tiff(picture) >= 5:  # Pillow announces a TIFF as it will turn it
        return height, width
    return width, height


def decode(picture: Image.Image, data: bytes, *, upright: bool) -> NDArray[np.uint8]:
    """Decode what `open_` opened.

    Args:
        picture: used up by this.
        data: the whole file, again.
        upright: turn the picture by its EXIF orientation.

    Returns:
        uint8, shape (H, W, 3), C-contiguous.

    Raises:
        BadPicture: UNSUPPORTED, TRUNCATED or CORRUPT.
    """
    if picture.format == "PNG":
        _check_png(data)
    try:
        turned_by_pillow = _orientation_of_tiff(picture)
        picture.load()
        pixels = _to_rgb(picture)
        tiff = picture.info.get("exif", b"").removeprefix(b"Exif\0\0")
    except (BadPicture, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise anything on damaged bytes
        raise _refusal(error, data) from error
    if isinstance(picture, TiffImageFile):
        back = {6: 8, 8: 6}.get(turned_by_pillow, turned_by_pillow)
        return pixels if upright else exif.turned(pixels, back)
    return exif.turned(pixels, exif.orientation(tiff)) if upright else pixels


def _to_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I;16"):
        gray = ((np.asarray(picture).astype(np.uint32) + 128) // 257).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if picture.mode in ("I", "F"):
        raise BadPicture(Reason.UNSUPPORTED, "32 bits a pixel: no rule to make them 8")
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _refusal(error: Exception, data: bytes) -> BadPicture:
    if data.startswith(_PNG):
        try:
            _check_png(data)
        except BadPicture as telling:
            return telling
    line = " ".join(str(error).split()) or type(error).__name__
    early = isinstance(error, EOFError) or "truncated" in line.lower() or _ends_early(data)
    return BadPicture(Reason.TRUNCATED if early else Reason.CORRUPT, line)


def _ends_early(data: bytes) -> bool:
    """Tell a short file from a damaged one, where Pillow's message does not."""
    if data.startswith(b"RIFF"):
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    if data.startswith(b"GIF8"):
        return not data.endswith(b";")
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    if data.startswith((b"II*\0", b"MM\0*")):  # the directory often comes last
        return len(data) < 10 or int.from_bytes(data[4:8], order) > len(data)
    return False


def _check_png(data: bytes) -> None:
    """Compare every critical chunk with its checksum, which Pillow does not do for pixels."""
    if data[12:16] not in (b"IHDR", b""):
        raise BadPicture(Reason.CORRUPT, "the PNG does not begin with its IHDR chunk")
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 8 + length
        if end + 4 > len(data):
            break
        critical = not kind[0] & 0x20
        if critical and zlib.crc32(data[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise BadPicture(Reason.CORRUPT, f"checksum of PNG chunk {kind!r} is wrong")
        if kind == b"IEND":
            return
        at = end + 4
    raise BadPicture(Reason.TRUNCATED, "the PNG ends before its IEND chunk")
