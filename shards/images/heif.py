"""HEIC by pillow-heif, loaded when the first one is met; nothing is registered with Pillow.

libheif turns the image upright by the container's own properties (`irot`, `imir`), as the standard
wants it, and EXIF's orientation, which repeats them, is not applied. So upright happens once.

What cannot be noticed: damage inside the coded pixels that libde265 conceals. HEVC has no checksums
that decoders are bound to compare.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from shards.errors import BadImage, Reason
from shards.image_formats import FORMATS
from shards.images import isobmff, memory

if TYPE_CHECKING:
    from PIL import Image

FORMAT = "HEIC"
# libheif calls it a failure to get memory where a damaged file asks for more than it may.
_DAMAGE = re.compile(r"security limit|invalid", re.IGNORECASE)


def still(data: bytes) -> isobmff.Still:
    """Read what the file says of the image that it shows, and see whether all of it is there.

    Raises:
        BadImage: TRUNCATED, CORRUPT, or UNSUPPORTED: a film without a still image, or
            pillow-heif is not installed.
    """
    library()
    one = isobmff.still(data)
    if one is None:
        raise BadImage(
            Reason.UNSUPPORTED, "HEIC without a still image (a video) is not decoded. Extract one."
        )
    return one


def decode(data: bytes) -> Image.Image:
    """Decode the primary image, upright; 10 and 12 bits of color become 8.

    Raises:
        BadImage: TRUNCATED, CORRUPT or UNSUPPORTED.
        MemoryError: there is not enough.
    """
    loaded = library()
    try:
        file = loaded.HeifFile(isobmff.without_exif(data), convert_hdr_to_8bit=True)
        # Where the primary image cannot be read, the library would hand out another one.
        shown = [one for one in file if one.info["primary"]]
        image: Image.Image | None = shown[0].to_pillow() if shown else None
    except SyntaxError as error:  # the library's word for what libheif does not support
        raise BadImage(Reason.UNSUPPORTED, f"HEIC: {_line(error)}") from error
    except (ValueError, RuntimeError, OSError, EOFError) as error:
        if memory.is_exhausted(error) and not _DAMAGE.search(str(error)):
            raise MemoryError(str(error)) from error
        raise BadImage(Reason.CORRUPT, _line(error)) from error
    if image is None:
        raise BadImage(Reason.CORRUPT, "the HEIC's primary image cannot be read")
    return image


@cache
def library() -> Any:
    """pillow-heif, which comes without types.

    Raises:
        BadImage: UNSUPPORTED: it is not installed; with the cure.
    """
    try:
        return import_module("pillow_heif")
    except ImportError as error:
        raise BadImage(Reason.UNSUPPORTED, _missing()) from error


def _missing() -> str:
    cure = next(one.cure for one in FORMATS if one.name == FORMAT)
    return f"HEIC needs pillow-heif, which is not installed. {cure}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
