"""Prepares PNG for Pillow: verifies checksums and removes chunks that do not affect pixels.

Pillow reads every chunk, and refuses an image because of a text that is too long for it, a color
profile that it cannot unpack, or a comment with a wrong checksum. None of these affect pixels; so
only the critical chunks and EXIF are passed on, and Pillow's own limits stay unchanged.

Source: PNG specification, third edition, sections 5 (chunks), 11.2 (critical ones) and 11.3 (eXIf).
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.errors import BadImage, Fault, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_ANCILLARY: Final = 0x20
"""Bit of a chunk's first letter (lower case) that marks it as optional for decoders."""


_USUAL: Final = re.compile(rb"IHDR( PLTE)?( IDAT)+ IEND")


class _Chunk(NamedTuple):
    """Range of a chunk, from its length to its checksum."""

    kind: bytes
    start: int
    end: int


def size(data: bytes) -> tuple[int, int]:
    """Read width and height, pixels.

    Raises:
        BadImage: TRUNCATED, CORRUPT, or UNSUPPORTED (Apple's CgBI).
    """
    first = next(_critical(data))
    if first.end - first.start < 12 + 13:
        raise BadImage(Fault(Reason.CORRUPT, "the PNG's IHDR chunk is too short"))
    width, height = struct.unpack_from(">II", data, first.start + 8)
    return width, height


def plain(data: bytes) -> bytes:
    """Remove the ancillary chunks except EXIF, after verifying the critical ones.

    This removes animation: what remains is the default image, which every viewer shows. It also
    removes transparency, which only yields alpha, which is dropped.

    Returns:
        A PNG with the same pixels; the data itself if nothing is removed.

    Raises:
        BadImage: as for `size`, for any part of the file.
    """
    kept: list[tuple[int, int]] = [(0, len(SIGNATURE))]
    for chunk in _critical(data):
        if kept[-1][1] == chunk.start:
            kept[-1] = kept[-1][0], chunk.end
        else:
            kept.append((chunk.start, chunk.end))
    if len(kept) == 1:
        return data
    view = memoryview(data)
    return b"".join(view[start:end] for start, end in kept)


class Parts(NamedTuple):
    """What is in a PNG that `plain` returned.

    Attributes:
        usual: whether the chunks are those that every encoder writes, in the usual order; decoders
            differ about others.
        exif: the last eXIf chunk, which is Pillow's choice too; b"" if there is none.
    """

    usual: bool
    exif: bytes


def parts(data: bytes) -> Parts:
    """Look at the chunks of what `plain` returned."""
    exif, kinds = b"", []
    for chunk in _chunks(data):
        if chunk.kind == b"eXIf":
            exif = data[chunk.start + 8 : chunk.end - 4]
        else:
            kinds.append(chunk.kind)
    return Parts(_USUAL.fullmatch(b" ".join(kinds)) is not None, exif)


def _critical(data: bytes) -> Iterator[_Chunk]:
    """Yield the critical chunks and intact EXIF, up to and including IEND.

    Every checksum is verified, which Pillow does not do for pixel data.
    """
    chunks = _chunks(data)
    first = next(chunks, None)
    if first is not None and first.kind == b"CgBI":
        raise BadImage(
            Fault(
                Reason.UNSUPPORTED, "Apple's CgBI variant of PNG is not decoded. Convert it to PNG."
            )
        )
    if data[12:16] not in (b"IHDR", b""):
        raise BadImage(Fault(Reason.CORRUPT, "the PNG does not begin with its IHDR chunk"))
    chunk = first
    while chunk is not None:
        if not chunk.kind[0] & _ANCILLARY:
            if chunk.kind == b"IHDR" and chunk is not first:  # Pillow would take its size
                raise BadImage(Fault(Reason.CORRUPT, "the PNG has a second IHDR chunk"))
            if not _checksum_is_right(data, chunk):
                raise BadImage(
                    Fault(Reason.CORRUPT, f"checksum of PNG chunk {chunk.kind!r} is wrong")
                )
            yield chunk
            if chunk.kind == b"IEND":
                return
        elif chunk.kind == b"eXIf" and _checksum_is_right(data, chunk):
            yield chunk
        chunk = next(chunks, None)
    raise BadImage(Fault(Reason.TRUNCATED, "the PNG ends before its IEND chunk"))


def _checksum_is_right(data: bytes, chunk: _Chunk) -> bool:
    (told,) = struct.unpack_from(">I", data, chunk.end - 4)
    return bool(zlib.crc32(memoryview(data)[chunk.start + 4 : chunk.end - 4]) == told)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Walk the complete chunks."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            return
        yield _Chunk(data[at + 4 : at + 8], at, end)
        at = end
