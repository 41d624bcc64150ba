"""The bytes of one image from the disk: a whole file, or a stretch of a tar; never too many."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from shards.errors import BadImage, Reason
from shards.files import open_regular
from shards.image_formats import SNIFFED_BYTES
from shards.images import jpeg, kinds
from shards.tar.ustar import MAX_MEMBER_BYTES

if TYPE_CHECKING:
    from shards.sample import ImageRef

_LARGE: Final = 64 << 20
"""Bytes; of a larger file the first ones must be an image's before the others are read."""


def most_bytes(max_pixels: int) -> int:
    """How large the file of an image may be: the one rule for loading, packing and scoring.

    Eight bytes a pixel (four channels of 16 bits, uncompressed) and 64 MiB for everything else;
    never more than a member of a packed shard can be.
    """
    return min(8 * max_pixels + (64 << 20), MAX_MEMBER_BYTES)


def read_bytes(ref: ImageRef, *, max_pixels: int) -> bytes:
    """Read an image's bytes: a whole file, or a stretch of a tar.

    A folder, a pipe or a device is refused and never waited for. A file that no image of
    `max_pixels` can fill is refused unread, as is a large one that does not begin as an image. A
    file that grows meanwhile is read as far as it was when it was opened.

    Args:
        ref: where the bytes lie.
        max_pixels: as for `image.decode`; see `most_bytes`.

    Raises:
        BadImage: VANISHED, EMPTY, UNREADABLE, TRUNCATED (the file ends inside the stretch),
            TOO_LARGE, or UNSUPPORTED (an image, by its name or first bytes, of a format that is
            not decoded, or a large file that is no image); or the reference's own fault.
        MemoryError: there is not enough memory for them.
    """
    if ref.fault is not None:
        raise BadImage(*ref.fault)
    try:
        data, wanted = _read(ref, most_bytes(max_pixels))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadImage(Reason.VANISHED, "no such file") from error
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        raise BadImage(Reason.UNREADABLE, str(error.strerror or error).lower()) from error
    except ValueError as error:  # a name that no file can have: a NUL, a lone surrogate
        raise BadImage(Reason.UNREADABLE, f"not a valid file name ({error})") from error
    if not data and (ref.size < 0 or wanted == 0):
        raise BadImage(Reason.EMPTY, "no bytes")
    if ref.size >= 0 and len(data) < wanted:
        raise BadImage(
            Reason.TRUNCATED, f"the file ends after {len(data)} of the image's {wanted} bytes"
        )
    if not data.startswith(jpeg.SIGNATURE):  # of most files this is all that is looked at
        kinds.refuse_other_formats(data[:SNIFFED_BYTES], ref.name)
    return data


def _read(ref: ImageRef, limit: int) -> tuple[bytes, int]:
    """Return the bytes that are there and how many were asked for."""
    descriptor = open_regular(ref.file)
    try:
        size = ref.size if ref.size >= 0 else os.fstat(descriptor).st_size - ref.offset
        wanted = max(0, size)
        if wanted > limit:
            raise BadImage(
                Reason.TOO_LARGE,
                f"a file of {wanted} bytes; at most {limit} are read (--max-pixels)",
            )
        if wanted > _LARGE:
            _look_first(descriptor, ref)
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


def _look_first(descriptor: int, ref: ImageRef) -> None:
    """Refuse a large file that does not begin as an image that is decoded."""
    first = os.pread(descriptor, SNIFFED_BYTES, ref.offset)
    kinds.refuse_other_formats(first, ref.name)
    kind = kinds.kind_of(first)
    if kind is None or not kinds.is_decoded(kind):
        raise kinds.not_decoded(kind)
