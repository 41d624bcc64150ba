"""Prepares TIFF for Pillow: keeps the tags that affect pixels, refuses kinds decoded incorrectly.

Pillow and libtiff read every tag, even private and broken ones, and Pillow silently decodes some
kinds of pixels incorrectly (16 bits with white as zero, 12 bits, signed samples). So the file gets
a new first directory with the tags needed, and a kind without a correct result is refused.

Source: TIFF 6.0; DNG 1.6 for the tags of raw camera files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shards.errors import BadImage, Fault, Reason
from shards.image_formats import FORMATS
from shards.images import memory
from shards.images import tiff_directory as tags
from shards.images.kinds import not_decoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shards.images.tiff_directory import Directory

_UNCOMPRESSED: Final = 1
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 3, 5, 6
_RAW_PHOTOMETRICS: Final = (32803, 34892)
_UNSIGNED, _VOID = 1, 4
_ONE_PLANE: Final = 1
_SUBSAMPLING: Final = 530
_CAMERA_RAW: Final = next(one for one in FORMATS if one.name == "camera RAW")

_NOT_BUILT_IN: Final = re.compile(r"not (configured|supported|implemented)", re.IGNORECASE)
_ENDS_EARLY: Final = re.compile(r"read error|invalid read|got \d+ bytes, expected", re.IGNORECASE)
_ABSURD_TAG: Final = re.compile(r"out of memory reading of", re.IGNORECASE)
_OF_A_DECODER: Final = re.compile(r"\w*Decode\w*: |JPEGLib: ")


@dataclass(frozen=True, slots=True)
class Readable:
    """A TIFF that Pillow and libtiff read without surprises.

    Attributes:
        data: the file with a new directory at the end.
        orientation: from its tag, 1 to 8; no longer in `data`.
        highest: the maximum sample value, if samples have more than 8 bits.
        negative: whether white is zero, which `data` no longer says.
        colors: the palette if it has 8 bits instead of TIFF's 16: all reds, all greens, all
            blues.
    """

    data: bytes
    orientation: int
    highest: int
    negative: bool
    colors: bytes | None


def readable(directory: Directory, data: bytes) -> Readable:
    """Rewrite a TIFF so that it is decoded correctly, or refuse it.

    Args:
        directory: the file's first directory.
        data: the whole file.

    Raises:
        BadImage: TRUNCATED, CORRUPT or UNSUPPORTED.
    """
    _refuse(directory)
    changed = _located(directory, len(data))
    if tags.ROWS_PER_STRIP in directory:
        changed[tags.ROWS_PER_STRIP] = np.array([_rows(directory)])
    bits = directory.value(tags.BITS, 1)
    photometric = directory.value(tags.PHOTOMETRIC, _WHITE_IS_ZERO)
    # Pillow does not support negatives of more than 8 bits: decoded as a positive, then inverted.
    negative = photometric == _WHITE_IS_ZERO and bits > 8
    if negative:
        changed[tags.PHOTOMETRIC] = np.array([_BLACK_IS_ZERO])
    orientation = directory.value(tags.ORIENTATION, 1)
    return Readable(
        directory.rewritten(changed),
        orientation if 1 <= orientation <= 8 else 1,
        highest=(1 << min(bits, 16)) - 1,
        negative=negative,
        colors=_colors(directory, bits) if photometric == _PALETTE else None,
    )


def _refuse(directory: Directory) -> None:
    """Refuse kinds that Pillow would decode to wrong pixels, or to a thumbnail."""
    photometric = directory.value(tags.PHOTOMETRIC, _WHITE_IS_ZERO)
    # A raw camera file begins with a thumbnail, which is marked as one.
    is_raw = tags.DNG_VERSION in directory or photometric in _RAW_PHOTOMETRICS
    if is_raw or directory.value(tags.NEW_SUBFILE_TYPE, 0) & 1:
        raise BadImage(not_decoded(_CAMERA_RAW))
    if directory.is_big_endian_bigtiff:
        raise BadImage(unsupported("64-bit offsets in big-endian order (BigTIFF)"))
    formats = directory.values(tags.SAMPLE_FORMAT, (_UNSIGNED,))
    if any(one not in (_UNSIGNED, _VOID) for one in formats):
        raise BadImage(unsupported("signed or floating-point samples"))
    if photometric == _SEPARATED and directory.value(tags.INKS, 1) != 1:
        raise BadImage(unsupported("inks other than cyan, magenta, yellow and black"))


def _located(directory: Directory, size: int) -> dict[int, NDArray[np.int64]]:
    """Check that all strips or tiles are inside the file, and return corrected tags.

    Args:
        directory: the file's first directory.
        size: size of the file, bytes.

    Raises:
        BadImage: TRUNCATED.
    """
    tiled = tags.TILE_OFFSETS in directory
    where, how_long = (
        (tags.TILE_OFFSETS, tags.TILE_BYTES) if tiled else (tags.STRIP_OFFSETS, tags.STRIP_BYTES)
    )
    starts, lengths = directory.array(where), directory.array(how_long)
    changed: dict[int, NDArray[np.int64]] = {}
    width, height = directory.size()
    raw = directory.value(tags.COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED
    if raw and directory.value(tags.PHOTOMETRIC, 0) != _YCBCR:
        # Pillow uses the computed lengths, libtiff the stored ones, which old writers omitted.
        lengths = _needed(directory, len(starts), tiled=tiled)
        changed[how_long] = lengths
    elif raw and _SUBSAMPLING not in directory and lengths.sum() == 3 * width * height:
        changed[_SUBSAMPLING] = np.array([1, 1])  # implied by its length; the default is (2, 2)
    elif len(starts) == 1 and not lengths.any():
        lengths = np.array([max(0, size - starts[0])])
        changed[how_long] = lengths
    common = min(len(starts), len(lengths))
    ends = starts[:common] + lengths[:common]
    if len(ends) and (starts.min() < 0 or lengths.min() < 0 or ends.max() > size):
        raise BadImage(Fault(Reason.TRUNCATED, "the TIFF ends before its pixel data does"))
    return changed


def _needed(directory: Directory, count: int, *, tiled: bool) -> NDArray[np.int64]:
    """Size in bytes of each uncompressed strip or tile."""
    width, height = directory.size()
    samples = directory.value(tags.SAMPLES, 1)
    together = samples if directory.value(tags.PLANES, _ONE_PLANE) == _ONE_PLANE else 1
    if tiled:
        width, rows = directory.value(tags.TILE_WIDTH, 0), directory.value(tags.TILE_HEIGHT, 0)
    else:
        rows = _rows(directory)
    row = (width * directory.value(tags.BITS, 1) * together + 7) // 8
    lengths = np.full(count, row * rows)
    if not tiled:  # the last strip of each plane may be shorter
        each = -(-height // rows)
        lengths[each - 1 :: each] = row * (height - rows * (each - 1))
    return lengths


def _rows(directory: Directory) -> int:
    """Rows per strip; the image's rows if the tag is larger or missing."""
    _, height = directory.size()
    return max(1, min(directory.value(tags.ROWS_PER_STRIP, height), height))


def _colors(directory: Directory, bits: int) -> bytes | None:
    """The palette if it was written with 8 bits: by libtiff's rule, if no value exceeds 255."""
    colors = directory.values(tags.COLORS)
    if len(colors) != 3 << min(bits, 8):
        raise BadImage(Fault(Reason.CORRUPT, f"the TIFF's palette has {len(colors)} values"))
    return bytes(colors) if max(colors) < 256 else None


def unsupported(what: str) -> Fault:
    """The verdict on a TIFF without an agreed conversion to 8-bit RGB."""
    return Fault(Reason.UNSUPPORTED, f"TIFF with {what} is not decoded. Convert it to PNG or JPEG.")


def unknown(directory: Directory) -> Fault:
    """The verdict on a TIFF whose pixel layout Pillow does not know."""
    bits = "/".join(str(one) for one in directory.values(tags.BITS, (1,))[:8])
    return unsupported(
        f"{bits} bits per sample, photometric interpretation "
        f"{directory.value(tags.PHOTOMETRIC, _WHITE_IS_ZERO)} and compression "
        f"{directory.value(tags.COMPRESSION, _UNCOMPRESSED)}"
    )


def refusal(error: Exception, messages: list[str]) -> Exception:
    """The exception for a failure of libtiff, with its own messages if there are any."""
    if not messages or isinstance(error, (BadImage, MemoryError)):
        return error
    told = "; ".join(messages[:2])
    if memory.is_exhausted(Exception(told)) and not _ABSURD_TAG.search(told):
        return MemoryError(told)
    if _NOT_BUILT_IN.search(told):
        return BadImage(unsupported(f"a compression that libtiff lacks ({told})"))
    early = _ENDS_EARLY.search(told)
    return BadImage(Fault(Reason.TRUNCATED if early else Reason.CORRUPT, told))


def damage(messages: list[str]) -> Fault | None:
    """The verdict where libtiff reported errors and went on with pixels of its own making.

    Its fax decoders do so; errors that it reports about the directory have no effect on pixels.
    """
    told = next((one for one in messages if _OF_A_DECODER.match(one)), None)
    return Fault(Reason.CORRUPT, told) if told else None
