"""TIFF before Pillow sees it: only the tags that decide pixels, and only kinds that come out right.

Pillow and libtiff read every tag, private and broken ones as well, and Pillow turns some kinds of
pixels into wrong ones without a word (16 bits with white as zero, 12 bits, signed samples). So the
file gets a new first directory with what is needed, and what has no right answer is refused.

Source: TIFF 6.0; DNG 1.6 for what marks the files of cameras.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shards.errors import BadImage, Reason
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
        data: the file with a directory of its own at the end.
        orientation: by its tag, 1 to 8; not in `data` any more.
        highest: the value of the brightest sample, where there are more than 8 bits.
        negative: whether white is zero, which `data` does not say any more.
        colors: the palette where it has 8 bits in place of TIFF's 16: all reds, all greens, all
            blues.
    """

    data: bytes
    orientation: int
    highest: int
    negative: bool
    colors: bytes | None


def readable(directory: Directory, data: bytes) -> Readable:
    """Make a TIFF that comes out right, or refuse it.

    Args:
        directory: of the data.
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
    # Pillow knows no negative of more than 8 bits: it is decoded as a positive and turned then.
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
    """Refuse what Pillow would decode to wrong pixels, or to those of another image."""
    photometric = directory.value(tags.PHOTOMETRIC, _WHITE_IS_ZERO)
    # A camera's raw file begins with a thumbnail, which says that it is one.
    is_raw = tags.DNG_VERSION in directory or photometric in _RAW_PHOTOMETRICS
    if is_raw or directory.value(tags.NEW_SUBFILE_TYPE, 0) & 1:
        raise not_decoded(_CAMERA_RAW)
    if directory.is_big_endian_bigtiff:
        raise unsupported("64-bit offsets in big-endian order (BigTIFF)")
    formats = directory.values(tags.SAMPLE_FORMAT, (_UNSIGNED,))
    if any(one not in (_UNSIGNED, _VOID) for one in formats):
        raise unsupported("signed or floating-point samples")
    if photometric == _SEPARATED and directory.value(tags.INKS, 1) != 1:
        raise unsupported("inks other than cyan, magenta, yellow and black")


def _located(directory: Directory, size: int) -> dict[int, NDArray[np.int64]]:
    """See that all strips or tiles lie in the file; the tags that say so, put right where needed.

    Args:
        directory: of the file.
        size: of the file, bytes.

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
        # Pillow went by what is needed, and libtiff by what is told, which old writers left out.
        lengths = _needed(directory, len(starts), tiled=tiled)
        changed[how_long] = lengths
    elif raw and _SUBSAMPLING not in directory and lengths.sum() == 3 * width * height:
        changed[_SUBSAMPLING] = np.array([1, 1])  # as its length says; the default is 2 and 2
    elif len(starts) == 1 and not lengths.any():
        lengths = np.array([max(0, size - starts[0])])
        changed[how_long] = lengths
    common = min(len(starts), len(lengths))
    ends = starts[:common] + lengths[:common]
    if len(ends) and (starts.min() < 0 or lengths.min() < 0 or ends.max() > size):
        raise BadImage(Reason.TRUNCATED, "the TIFF ends before its pixel data does")
    return changed


def _needed(directory: Directory, count: int, *, tiled: bool) -> NDArray[np.int64]:
    """How many bytes each uncompressed strip or tile takes."""
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
    """Rows of a strip: those of the image where the file says more, or nothing."""
    _, height = directory.size()
    return max(1, min(directory.value(tags.ROWS_PER_STRIP, height), height))


def _colors(directory: Directory, bits: int) -> bytes | None:
    """The palette, where it was written with 8 bits: by libtiff's rule, where no value has more."""
    colors = directory.values(tags.COLORS)
    if len(colors) != 3 << min(bits, 8):
        raise BadImage(Reason.CORRUPT, f"the TIFF's palette has {len(colors)} values")
    return bytes(colors) if max(colors) < 256 else None


def unsupported(what: str) -> BadImage:
    """The verdict on a TIFF that has no agreed meaning in 8 bits of red, green and blue."""
    return BadImage(
        Reason.UNSUPPORTED, f"TIFF with {what} is not decoded. Convert it to PNG or JPEG."
    )


def unknown(directory: Directory) -> BadImage:
    """The verdict on a TIFF whose pixels Pillow does not know."""
    bits = "/".join(str(one) for one in directory.values(tags.BITS, (1,))[:8])
    return unsupported(
        f"{bits} bits per sample, photometric interpretation "
        f"{directory.value(tags.PHOTOMETRIC, _WHITE_IS_ZERO)} and compression "
        f"{directory.value(tags.COMPRESSION, _UNCOMPRESSED)}"
    )


def refusal(error: Exception, messages: list[str]) -> Exception:
    """What to raise where libtiff gave up: with its own words, where it had some."""
    if not messages or isinstance(error, (BadImage, MemoryError)):
        return error
    told = "; ".join(messages[:2])
    if memory.is_exhausted(Exception(told)) and not _ABSURD_TAG.search(told):
        return MemoryError(told)
    if _NOT_BUILT_IN.search(told):
        return unsupported(f"a compression that libtiff lacks ({told})")
    early = _ENDS_EARLY.search(told)
    return BadImage(Reason.TRUNCATED if early else Reason.CORRUPT, told)


def damage(messages: list[str]) -> BadImage | None:
    """The verdict where libtiff reported errors and went on with pixels of its own making.

    Its decoders of fax pages do; what it reports of the directory was without consequence.
    """
    told = next((one for one in messages if _OF_A_DECODER.match(one)), None)
    return BadImage(Reason.CORRUPT, told) if told else None
