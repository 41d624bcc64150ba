"""HEIC through pillow-heif, imported at the first HEIC; nothing is registered with Pillow.

libheif turns the image upright by the container's own properties (`irot`, `imir`), as the standard
requires, and EXIF's orientation, which repeats them, is not applied. So it is turned only once.

Not detected: damage inside the coded pixels that libde265 conceals. HEVC has no checksums that
decoders must verify.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from shards.errors import BadImage, Fault, Reason
from shards.image_formats import FORMATS
from shards.images import isobmff, memory

if TYPE_CHECKING:
    from PIL import Image

FORMAT = "HEIC"
# libheif reports a memory failure if a damaged file requests more than its limit.
_DAMAGE = re.compile(r"security limit|invalid", re.IGNORECASE)


def still(data: bytes) -> isobmff.Still:
    """Read the properties of the primary image and check that its bytes are complete.

    Raises:
        BadImage: TRUNCATED, CORRUPT, or UNSUPPORTED: a video without a still image, or
            pillow-heif is not installed.
    """
    library()
    one = isobmff.still(data)
    if one is None:
        raise BadImage(
            Fault(
                Reason.UNSUPPORTED,
                "HEIC without a still image (a video) is not decoded. Extract one.",
            )
        )
    return one


def decode(data: bytes) -> Image.Image:
    """Decode the primary image, upright; 10 and 12 bits per sample become 8.

    Raises:
        BadImage: TRUNCATED, CORRUPT or UNSUPPORTED.
        MemoryError: not enough memory.
    """
    loaded = library()
    try:
        file = loaded.HeifFile(isobmff.without_exif(data), convert_hdr_to_8bit=True)
        # If the primary image cannot be read, the library would return another one.
        shown = [one for one in file if one.info["primary"]]
        image: Image.Image | None = shown[0].to_pillow() if shown else None
    except SyntaxError as error:  # how the library reports what libheif does not support
        raise BadImage(Fault(Reason.UNSUPPORTED, f"HEIC: {_line(error)}")) from error
    except (ValueError, RuntimeError, OSError, EOFError) as error:
        if memory.is_exhausted(error) and not _DAMAGE.search(str(error)):
            raise MemoryError(str(error)) from error
        raise BadImage(Fault(Reason.CORRUPT, _line(error))) from error
    if image is None:
        raise BadImage(Fault(Reason.CORRUPT, "the HEIC's primary image cannot be read"))
    return image


@cache
def library() -> Any:
    """The pillow-heif module, which has no type annotations.

    Raises:
        BadImage: UNSUPPORTED: it is not installed; says how to install it.
    """
    try:
        return import_module("pillow_heif")
    except ImportError as error:
        raise BadImage(Fault(Reason.UNSUPPORTED, _missing())) from error


def _missing() -> str:
    cure = next(one.cure for one in FORMATS if one.name == FORMAT)
    return f"HEIC needs pillow-heif, which is not installed. {cure}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
