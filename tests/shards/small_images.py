"""A small image, encoded in many ways, and what decoding says of it."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from shards.errors import BadImage
from shards.images import image_file

MANY = 10**8


def photo(width: int = 61, height: int = 47) -> Image.Image:
    """Noise over a slope, with a corner that tells which side is up."""
    y, x = np.mgrid[0 : 1 : complex(height), 0 : 1 : complex(width)]
    values = np.stack([220 * x, 200 * y, 90 + 80 * x * y], axis=2)
    values += np.random.default_rng(2).normal(0, 12, values.shape)
    values[: height // 3, : width // 3] = (250, 10, 30)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def tiff_of(order: str, kind: int, value: int, *, entries: int = 1, start: int = 8) -> bytes:
    """The smallest TIFF directory with an orientation in it."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    number = struct.pack(order + {1: "Bxxx", 3: "Hxx", 4: "I"}[kind], value)
    entry = struct.pack(order + "HHI", 0x0112, kind, 1) + number
    return magic + struct.pack(order + "IH", start, entries) + entry + bytes(4)


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def with_segments(data: bytes, *segments: bytes) -> bytes:
    return data[:2] + b"".join(segments) + data[2:]


def exif_segment(tiff: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + tiff)


JPEG = encoded(photo(), "JPEG", quality=90)


PROGRESSIVE = encoded(photo(), "JPEG", progressive=True)


PIXELS = np.asarray(Image.open(io.BytesIO(JPEG)))


def reason_of(data: bytes, max_pixels: int = MANY) -> str:
    with pytest.raises(BadImage) as caught:
        image_file.decode(data, max_pixels=max_pixels)
    assert "\n" not in str(caught.value)
    return str(caught.value.fault.reason)


def outcome_of(data: bytes) -> str:
    try:
        image_file.decode(data, max_pixels=MANY)
    except BadImage as bad:
        return str(bad.fault.reason)
    return "whole"
