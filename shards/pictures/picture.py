"""Bytes of one picture to pixels, on the CPU, strictly: a picture is whole or it is refused.

The verdict (`BadPicture` with its reason) is the same for every maker of batches.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shards.errors import BadPicture, Reason
from shards.files import open_regular
from shards.pictures import exif, jpeg, pillow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shards.sample import PictureRef


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says of itself before it is decoded.

    Attributes:
        format: Pillow's name, such as 'JPEG' or 'PNG'.
        width: pixels, as stored, before EXIF turns it.
        height: likewise.
    """

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture on its way to be resized.

    Attributes:
        pixels: uint8, shape (H, W, 3), C-contiguous.
        width: what of the W columns the picture covers; less than W where the last column of a
            picture that was decoded smaller stands for fewer of its pixels than the others.
        height: likewise of the H rows.
        reduced: how many times smaller than stored.
        orientation: by EXIF, 1 to 8, to be applied to the resized picture.
    """

    pixels: NDArray[np.uint8]
    width: float
    height: float
    reduced: int
    orientation: int


def read_bytes(ref: PictureRef) -> bytes:
    """Read a picture's bytes: a whole file, or a stretch of a tar.

    A folder, a pipe or a device is refused and never waited for.

    Raises:
        BadPicture: VANISHED, EMPTY, UNREADABLE, or TRUNCATED (the file ends inside the stretch);
            or the reference's own fault.
    """
    if ref.fault is not None:
        raise BadPicture(*ref.fault)
    try:
        data, wanted = _read(ref)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadPicture(Reason.VANISHED, "no such file") from error
    except OSError as error:
        raise BadPicture(Reason.UNREADABLE, str(error.strerror or error).lower()) from error
    except ValueError as error:  # a name that no file can have: a NUL, a lone surrogate
        raise BadPicture(Reason.UNREADABLE, f"not a file name ({error})") from error
    if not data and (ref.size < 0 or wanted == 0):
        raise BadPicture(Reason.EMPTY, "no bytes")
    if ref.size >= 0 and len(data) < wanted:
        raise BadPicture(
            Reason.TRUNCATED, f"the file ends after {len(data)} of the picture's {wanted} bytes"
        )
    return data


def _read(ref: PictureRef) -> tuple[bytes, int]:
    """Return the bytes that are there and how many were asked for."""
    descriptor = open_regular(ref.file)
    try:
        length = os.fstat(descriptor).st_size
        wanted = ref.size if ref.size >= 0 else max(0, length - ref.offset)
        pieces: list[bytes] = []
        done = 0
        while done < wanted:
            piece = os.pread(descriptor, wanted - done, ref.offset + done)
            if not piece:
                break
            pieces.append(piece)
            done += len(piece)
    finally:
        os.close(descriptor)
    return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), wanted


def probe(data: bytes) -> Header:
    """Read format and size from the header; no pixel is decoded.

    Raises:
        BadPicture: EMPTY, UNSUPPORTED, TRUNCATED or CORRUPT.
    """
    if data.startswith(jpeg.SIGNATURE):
        known = jpeg.header(data)
        if known is not None:
            return Header("JPEG", known[0], known[1])
    return _header(pillow.open_(data))


def check(data: bytes, *, max_pixels: int, whole: bool) -> Header:
    """Look whether a picture can be used.

    Args:
        data: the whole file.
        max_pixels: width times height that is not yet too large.
        whole: find out whether it is whole, as strictly as `decode` and for most JPEGs at 0.6 of
            its price.

    Returns:
        Its header.

    Raises:
        BadPicture: as `decode` does; without `whole`, only what the header tells.
    """
    head = probe(data)
    _refuse_too_large(head, max_pixels)
    if whole:
        known = jpeg.header(data) if data.startswith(jpeg.SIGNATURE) else None
        if known is not None and known[2] in jpeg.PLAIN_COLOURS:
            jpeg.check(data)
        else:
            decode(data, upright=False, max_pixels=max_pixels)
    return head


def decode(data: bytes, *, upright: bool = True, max_pixels: int) -> NDArray[np.uint8]:
    """Decode a picture to RGB, or refuse it.

    Alpha is dropped, gray is repeated, 16 bits become 8, a GIF gives its first frame.

    Args:
        data: the whole file.
        upright: turn the picture by its EXIF orientation; one that makes no sense is ignored.
        max_pixels: width times height that is still decoded.

    Returns:
        uint8, shape (H, W, 3), C-contiguous.

    Raises:
        BadPicture: EMPTY, UNSUPPORTED, TRUNCATED, CORRUPT, or TOO_LARGE (before decoding).
    """
    return _decode(data, None, upright=upright, max_pixels=max_pixels).pixels


def decode_to_resize(data: bytes, side: int, *, upright: bool = True, max_pixels: int) -> Decoded:
    """Decode what is going to be resized to a square: large JPEGs smaller than they are.

    `jpeg.reduction` is the rule. What is not reduced has the pixels that `decode` gives.

    Args:
        data: the whole file.
        side: both sides of the square, pixels.
        upright: as for `decode`.
        max_pixels: as for `decode`.

    Raises:
        BadPicture: as `decode` does, for the same pictures.
    """
    return _decode(data, side, upright=upright, max_pixels=max_pixels)


def resize_jpeg(data: bytes, *, size: int, quality: int, max_pixels: int) -> bytes:
    """Re-encode a picture as an upright square JPEG.

    Bilinear and antialiased by Pillow; chroma at half resolution (4:2:0), which every hardware
    decoder takes and which makes the smallest and fastest files; no metadata.

    Args:
        data: the whole file, any format that `decode` takes.
        size: both sides, pixels; the aspect ratio is not kept.
        quality: libjpeg's, 1 to 100.
        max_pixels: as for `decode`.

    Raises:
        BadPicture: as `decode` does.
    """
    whole = decode_to_resize(data, size, upright=True, max_pixels=max_pixels)
    covered = (0, 0, whole.width, whole.height)
    square = Image.fromarray(whole.pixels).resize((size, size), Image.Resampling.BILINEAR, covered)
    small = Image.fromarray(exif.turned(np.asarray(square), whole.orientation))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=quality, subsampling="4:2:0")
    return out.getvalue()


def _decode(data: bytes, side: int | None, *, upright: bool, max_pixels: int) -> Decoded:
    known = jpeg.header(data) if data.startswith(jpeg.SIGNATURE) else None
    if known is None:
        picture = pillow.open_(data)
        _refuse_too_large(_header(picture), max_pixels)
        return _in_full(pillow.decode(picture, data, upright=upright))
    width, height, colours = known
    _refuse_too_large(Header("JPEG", width, height), max_pixels)
    if colours in ("CMYK", "YCCK"):
        # Whether inks are stored inverted is a convention that Pillow knows and TurboJPEG does
        # not; TurboJPEG is asked only whether the picture is whole.
        jpeg.decode(data, colours="CMYK")
        return _in_full(pillow.decode(pillow.open_(data), data, upright=upright))
    reduced = 1 if side is None else jpeg.reduction(width, height, side=side)
    least = (-(-width // reduced), -(-height // reduced)) if reduced > 1 else (0, 0)
    pixels = jpeg.decode(data, least=least)
    orientation = jpeg.orientation(data) if upright else 1
    if reduced == 1:
        return _in_full(exif.turned(pixels, orientation))
    return Decoded(pixels, width / reduced, height / reduced, reduced, orientation)


def _in_full(pixels: NDArray[np.uint8]) -> Decoded:
    height, width = pixels.shape[:2]
    return Decoded(pixels, width, height, reduced=1, orientation=1)


def _refuse_too_large(header: Header, max_pixels: int) -> None:
    if header.width * header.height > max_pixels:
        raise BadPicture(
            Reason.TOO_LARGE,
            f"{header.width} x {header.height} is more than {max_pixels} pixels (--max-pixels)",
        )


def _header(picture: Image.Image) -> Header:
    return Header(picture.format or "", *pillow.stored_size(picture))
