"""Raw images: what the loaders make of an image, stored as an array and read without a decoder."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from shards.errors import BadImage, Fault, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

EXTENSION: Final = "npy"
HEADER_BYTES: Final = 128
"""Of the array's file; readers without .npy support skip these."""


@dataclass(frozen=True, slots=True)
class RawForm:
    """How the images of a raw set were made, upright, before they were stored.

    Attributes:
        size: height and width, pixels.
        fit: 'squash', 'crop' or 'pad'.
        interpolation: 'bilinear' or 'bicubic'.
        crop_fraction: of 'crop': the part of the shorter side that is kept; else 1.
        pad_color: of 'pad': R, G, B of the border; else black.
    """

    size: int
    fit: str
    interpolation: str
    crop_fraction: float
    pad_color: tuple[int, int, int]

    @property
    def bytes(self) -> int:
        """Size of the file of one image, bytes."""
        return HEADER_BYTES + 3 * self.size * self.size

    def to_json(self) -> dict[str, Any]:
        """Return plain values for `dataset.json`."""
        return {**asdict(self), "pad_color": list(self.pad_color)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RawForm:
        """Create a form from the output of `to_json`.

        Raises:
            TypeError, ValueError, KeyError: the values are not those of a form.
        """
        color = tuple(value["pad_color"])
        form = cls(**{**value, "pad_color": color})
        numbers = (form.size, *color)
        if len(color) != 3 or not all(type(number) is int for number in numbers) or form.size < 1:
            raise ValueError(f"{dict(value)} does not describe raw images")
        if not isinstance(form.fit, str) or not isinstance(form.interpolation, str):
            raise TypeError(f"{dict(value)} does not describe raw images")
        return form

    def __str__(self) -> str:
        """Return the form in words: '256 x 256 pixels, squash, bilinear'."""
        more = ""
        if self.fit == "crop":
            more = f" of {self.crop_fraction:g}"
        elif self.fit == "pad":
            more = f" with {','.join(map(str, self.pad_color))}"
        return f"{self.size} x {self.size} pixels, {self.fit}{more}, {self.interpolation}"


class RawMaker(Protocol):
    """Makes raw images; may be called from several threads."""

    @property
    def form(self) -> RawForm:
        """What it makes."""

    def __call__(self, data: bytes) -> NDArray[np.uint8]:
        """Decode a file and fit it: uint8, shape (size, size, 3), RGB.

        Raises:
            BadImage: as for `image_file.decode`.
        """


@lru_cache(maxsize=64)
def header(size: int) -> bytes:
    """The header of an .npy file (format 1.0) of uint8, shape (size, size, 3), C order."""
    file = io.BytesIO()
    described = {"descr": "|u1", "fortran_order": False, "shape": (size, size, 3)}
    np.lib.format.write_array_header_1_0(file, described)
    head = file.getvalue()
    assert len(head) == HEADER_BYTES, "NumPy changed its format"
    return head


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """The file of one image, equal to what `np.save` writes.

    Args:
        pixels: uint8, shape (size, size, 3), C-contiguous.
    """
    return header(len(pixels)) + pixels.tobytes()


def pixels_of(data: bytes, form: RawForm) -> NDArray[np.uint8]:
    """The pixels in the file of one image: uint8, shape (size, size, 3), a copy.

    Raises:
        BadImage: TRUNCATED or CORRUPT.
    """
    head = header(form.size)
    if len(data) < form.bytes and head.startswith(data[:HEADER_BYTES]):
        line = f"{len(data)} bytes instead of {form.bytes}"
        raise BadImage(Fault(Reason.TRUNCATED, line))
    if len(data) != form.bytes or not data.startswith(head):
        line = f"not an array of {form.size} x {form.size} x 3 bytes in NumPy's format"
        raise BadImage(Fault(Reason.CORRUPT, line))
    flat = np.frombuffer(data, np.uint8, offset=HEADER_BYTES)
    # a copy, as torch wants arrays that it may change
    pixels: NDArray[np.uint8] = flat.reshape(form.size, form.size, 3).copy()
    return pixels


def as_ppm(pixels: NDArray[np.uint8]) -> bytes:
    """The same pixels as a file that every image program reads (Netpbm's PPM)."""
    height, width = pixels.shape[:2]
    return f"P6 {width} {height} 255\n".encode("ascii") + pixels.tobytes()
