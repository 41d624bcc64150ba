"""The bytes of one image: a whole file, a stretch of a tar, or memory; never too many."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import TYPE_CHECKING, Final

from shards import raw_images
from shards.errors import BadImage, Fault, Reason
from shards.files import open_sized
from shards.image_formats import SNIFFED_BYTES
from shards.images import jpeg, kinds
from shards.images.budget import FILES
from shards.remote import places, store
from shards.tar.ustar import MAX_MEMBER_BYTES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shards.sample import ImageRef

_OTHER_BYTES: Final = Fault(Reason.CORRUPT, "its bytes are not those that were packed (SHA-256)")
_LARGE: Final = 64 << 20
"""Bytes; a larger file must begin as an image before the rest is read."""
_ASKED_TWICE: Final = 8 << 20
"""Bytes; of a larger object whose size was not known, the answer is dropped while memory is waited
for, since it would not wait."""


def most_bytes(max_pixels: int) -> int:
    """Maximum size of an image file: the same rule for loading, packing and scoring.

    Eight bytes per pixel (four channels of 16 bits, uncompressed) plus 64 MiB for everything
    else; never more than the maximum size of a shard member.
    """
    return min(8 * max_pixels + (64 << 20), MAX_MEMBER_BYTES)


def read_content(ref: ImageRef, *, max_pixels: int) -> bytes | NDArray[np.uint8]:
    """Read what there is of an image: the pixels of a raw image or of one in memory, else bytes.

    Args:
        ref: where it lies.
        max_pixels: as for `image.decode`.

    Raises:
        BadImage, MemoryError: as for `read_bytes`.
    """
    if ref.pixels is not None and ref.fault is None:
        return ref.pixels
    if ref.raw is not None:
        return raw_images.pixels_of(_stored_bytes(ref, max_pixels), ref.raw)
    return read_bytes(ref, max_pixels=max_pixels)


def read_bytes(ref: ImageRef, *, max_pixels: int) -> bytes:
    """Read an image's bytes: a whole file, a stretch of a tar, or those in memory.

    A folder, a pipe or a device is refused without blocking. A file larger than any image of
    `max_pixels` is refused unread, as is a large file that does not begin as an image. A file that
    grows while it is read is read up to its size when opened. A raw image becomes a PPM. Bytes with
    a known hash are compared with it.

    Args:
        ref: location of the bytes.
        max_pixels: as for `image_file.decode`; see `most_bytes`.

    Raises:
        BadImage: VANISHED, EMPTY, UNREADABLE, TRUNCATED (the file ends inside the range),
            TOO_LARGE, CORRUPT (their hash is not that of the reference), or UNSUPPORTED (an image,
            by name or first bytes, in a format that is not decoded, or a large file that is not an
            image); or the fault of the reference.
        MemoryError: not enough memory.
        StorageError: object storage does not give it, which says nothing about the image.
    """
    if ref.raw is not None:
        return raw_images.as_ppm(raw_images.pixels_of(_stored_bytes(ref, max_pixels), ref.raw))
    data = _stored_bytes(ref, max_pixels)
    if not data.startswith(jpeg.SIGNATURE):  # for most files this is the only check
        kinds.refuse_other_formats(data[:SNIFFED_BYTES], ref.name)
    return data


def _stored_bytes(ref: ImageRef, max_pixels: int) -> bytes:
    """The bytes as they are stored, whatever they are.

    Raises:
        BadImage, MemoryError: as for `read_bytes`.
    """
    if ref.fault is not None:
        raise BadImage(ref.fault)
    try:
        data, wanted = _read(ref, most_bytes(max_pixels))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadImage(Fault(Reason.VANISHED, "no such file")) from error
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        raise BadImage(Fault(Reason.UNREADABLE, str(error.strerror or error).lower())) from error
    except ValueError as error:  # an invalid file name: a NUL, a lone surrogate
        raise BadImage(Fault(Reason.UNREADABLE, f"not a valid file name ({error})")) from error
    if not data and (ref.size < 0 or wanted == 0):
        raise BadImage(Fault(Reason.EMPTY, "no bytes"))
    if ref.size >= 0 and len(data) < wanted:
        raise BadImage(
            Fault(
                Reason.TRUNCATED, f"the file ends after {len(data)} of the image's {wanted} bytes"
            )
        )
    if ref.sha256 is not None:
        refuse_other_bytes(data, ref.sha256)
    return data


def refuse_other_bytes(data: bytes, sha256: str) -> None:
    """Raise unless bytes are those that were packed, after they were decoded.

    Any flipped bit shows, also where a damaged JPEG decodes without a warning, at a tenth of the
    cost of decoding.

    Args:
        data: the whole file.
        sha256: hash of the bytes that were packed, hexadecimal.

    Raises:
        BadImage: CORRUPT.
    """
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BadImage(_OTHER_BYTES)


def _read(ref: ImageRef, limit: int) -> tuple[bytes, int]:
    """Return the bytes read and the number requested."""
    if ref.data is not None:
        _refuse_too_many(len(ref.data), limit)
        return ref.data, len(ref.data)
    if places.is_remote(ref.file):
        return _read_remote(ref, limit)
    descriptor, file_bytes = open_sized(ref.file)
    try:
        wanted = max(0, ref.size if ref.size >= 0 else file_bytes - ref.offset)
        _refuse_too_many(wanted, limit)
        FILES.claim(wanted)
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


def _read_remote(ref: ImageRef, limit: int) -> tuple[bytes, int]:
    """Do the same with an object of storage; its size comes with the answer, before its bytes."""
    wanted = claimed = max(0, ref.size)
    _refuse_too_many(wanted, limit)
    FILES.claim(wanted)

    def look(size: int) -> None:
        nonlocal wanted
        if ref.size < 0:
            wanted = size
        _refuse_too_many(size, limit)
        if size > _LARGE:
            _refuse_others(store.read(ref.file, ref.offset, SNIFFED_BYTES), ref.name)
        if size > max(claimed, _ASKED_TWICE):
            raise _UnclaimedError

    try:
        return store.read(ref.file, ref.offset, ref.size, look=look), wanted
    except _UnclaimedError:
        FILES.claim(wanted)
        claimed = wanted
    return store.read(ref.file, ref.offset, ref.size, look=look), wanted


class _UnclaimedError(Exception):
    """The size of an object is known now, and its memory has to be claimed."""


def _refuse_too_many(wanted: int, limit: int) -> None:
    if wanted > limit:
        line = f"a file of {wanted} bytes; at most {limit} are read (max_pixels)"
        raise BadImage(Fault(Reason.TOO_LARGE, line))


def _look_first(descriptor: int, ref: ImageRef) -> None:
    """Refuse a large file that does not begin as an image in a supported format."""
    _refuse_others(os.pread(descriptor, SNIFFED_BYTES, ref.offset), ref.name)


def _refuse_others(first: bytes, name: str) -> None:
    kinds.refuse_other_formats(first, name)
    kind = kinds.kind_of(first)
    if kind is None or not kinds.is_decoded(kind):
        raise BadImage(kinds.not_decoded(kind))
