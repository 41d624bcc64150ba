"""Prepares WebP for Pillow: reads its size without allocating, and keeps only the first frame.

libwebp allocates two whole canvases before their size can be checked, reads all frames of an
animation, and refuses the image because of the length of a metadata chunk.

Source: RFC 9649 (WebP), sections 2.3 to 2.7; RFC 6386, section 9.1, for the header of VP8.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.errors import BadImage, Fault, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER: Final = 12
_PIXELS: Final = (b"VP8 ", b"VP8L", b"ANMF")
_BEFORE_PIXELS: Final = (b"VP8X", b"ANIM", b"ALPH")
_LOSSLESS: Final = b"\x2f"
_KEY_FRAME: Final = b"\x9d\x01\x2a"
_METADATA_FLAGS: Final = 0x20 | 0x08 | 0x04
"""VP8X flags for a color profile, EXIF and XMP."""


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    end: int


def size(data: bytes) -> tuple[int, int]:
    """Read width and height of the canvas, pixels.

    Raises:
        BadImage: TRUNCATED or CORRUPT.
    """
    for chunk in _chunks(data, to=len(data)):
        body = data[chunk.start + 8 : chunk.start + 18]
        if len(body) < 10:
            break
        if chunk.kind == b"VP8X":
            return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
        if chunk.kind == b"VP8L" and body.startswith(_LOSSLESS):
            (bits,) = struct.unpack_from("<I", body, 1)
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        if chunk.kind == b"VP8 " and body[3:6] == _KEY_FRAME:
            width, height = struct.unpack_from("<HH", body, 6)
            return width & 0x3FFF, height & 0x3FFF
        break
    raise BadImage(_verdict(data))


def plain(data: bytes) -> tuple[bytes, bytes]:
    """Remove metadata and all frames except the first.

    Returns:
        A WebP with the same pixels, and the EXIF, b"" if there is none.

    Raises:
        BadImage: TRUNCATED or CORRUPT.
    """
    told = 8 + int.from_bytes(data[4:8], "little")
    if told > len(data):
        raise BadImage(_verdict(data))
    kept: list[bytes] = []
    exif = b""
    pixels = False
    for chunk in _chunks(data, to=told):
        if chunk.end > told and (chunk.kind in _PIXELS or not pixels):
            raise BadImage(_verdict(data))
        if chunk.kind == b"EXIF":
            exif = exif or data[chunk.start + 8 : min(chunk.end, told)]
        elif not pixels and chunk.kind in (*_PIXELS, *_BEFORE_PIXELS):
            kept.append(_without_promises(data[chunk.start : chunk.end]))
            pixels = chunk.kind in _PIXELS
    if not pixels:
        raise BadImage(_verdict(data))
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body, exif


def _without_promises(chunk: bytes) -> bytes:
    if not chunk.startswith(b"VP8X"):
        return chunk + bytes(len(chunk) % 2)
    return chunk[:8] + bytes([chunk[8] & ~_METADATA_FLAGS & 0xFF]) + chunk[9:]


def _chunks(data: bytes, *, to: int) -> Iterator[_Chunk]:
    """Walk the chunks; the last one may claim to extend beyond the file."""
    at = _HEADER
    while at + 8 <= to:
        (length,) = struct.unpack_from("<I", data, at + 4)
        yield _Chunk(data[at : at + 4], at, at + 8 + length)
        at += 8 + length + length % 2


def _verdict(data: bytes) -> Fault:
    if 8 + int.from_bytes(data[4:8], "little") > len(data):
        return Fault(Reason.TRUNCATED, "the WebP ends early")
    return Fault(Reason.CORRUPT, "the WebP's chunk structure is invalid")
