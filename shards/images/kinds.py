"""Detects an image's format from its bytes, and refuses formats that are not decoded."""

from __future__ import annotations

import re
from typing import Final

from shards.errors import BadImage, Fault, Reason
from shards.image_formats import FORMATS, SNIFFED_BYTES, ImageFormat, format_of_name, sniff

_BY_NAME: Final = {one.name: one for one in FORMATS}
# Not proof that a file is an image, but reason enough to try: the decoder decides.
_PNM: Final = re.compile(rb"P[1-6][\s#]")


def kind_of(data: bytes) -> ImageFormat | None:
    """The format of a file by its first bytes, regardless of its name; None if unknown.

    Args:
        data: the whole file, or its first `SNIFFED_BYTES`.
    """
    first = data[:SNIFFED_BYTES]
    if first.startswith(b"BM"):
        return _BY_NAME["BMP"]
    return _BY_NAME["PNM"] if _PNM.match(first) else sniff(first)


def not_decoded(kind: ImageFormat | None) -> Fault:
    """The verdict on a file in an unsupported or unknown format."""
    if kind is None:
        return Fault(Reason.UNSUPPORTED, "not an image in a supported format")
    return Fault(Reason.UNSUPPORTED, f"{kind.name} is not decoded. {kind.cure}")


def refuse_other_formats(first: bytes, name: str) -> None:
    """Refuse an image in a format that no decoder here supports.

    A format without a signature (TGA, some raw camera files) is recognized by the file name, if
    the bytes are not those of another format.

    Args:
        first: the first `SNIFFED_BYTES` bytes, or all of a shorter file.
        name: the file name.

    Raises:
        BadImage: UNSUPPORTED, with the format's name and what the user can do.
    """
    if kind_of(first) is None:
        promised = format_of_name(name)
        if promised is not None and not is_decoded(promised):
            raise BadImage(not_decoded(promised))


def is_decoded(kind: ImageFormat) -> bool:
    """Whether this program can decode a format, its decoder installed or not."""
    return kind.decoded or kind.name == "HEIC"
