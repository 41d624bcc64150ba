"""What tests of decoding share: drawn images, encoded; verdicts; chunks of PNG."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from shards.errors import BadImage, Fault
from shards.images import image_file

MANY = 10**8
PNG = b"\x89PNG\r\n\x1a\n"


def drawn(width: int = 61, height: int = 47, seed: int = 3) -> Image.Image:
    """A smooth ground with noise: no two sides or corners alike."""
    y, x = np.mgrid[0 : 1 : complex(height), 0 : 1 : complex(width)]
    ground = np.stack([220 * x, 200 * y, 160 * (1 - x) * y + 40], axis=2)
    ground[: height // 3, : width // 4] = (230, 40, 20)
    noise = np.random.default_rng(seed).normal(0, 3, ground.shape)
    return Image.fromarray((ground + noise).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def refused(data: bytes, max_pixels: int = MANY) -> Fault:
    """The verdict on bytes that are refused."""
    with pytest.raises(BadImage) as caught:
        image_file.decode(data, max_pixels=max_pixels)
    return caught.value.fault


def decoded(data: bytes, *, upright: bool = True) -> np.ndarray:
    return image_file.decode(data, upright=upright, max_pixels=MANY)


def chunk(kind: bytes, body: bytes, *, checksum: int | None = None) -> bytes:
    """A chunk of PNG, with its own checksum or a wrong one."""
    told = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", told)


def exif(orientation: int) -> bytes:
    """A TIFF that says nothing but the orientation, as EXIF is inside."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def in_three_scans(width: int, height: int, sampling: tuple[int, int]) -> bytes:
    """A gray baseline JPEG with a scan for each component; `sampling` is luma's (across, down)."""
    across, down = sampling
    parts = [(0xDB, bytes([0, *[1] * 64]))]
    frame = [1, across << 4 | down, 0, 2, 0x11, 0, 3, 0x11, 0]
    parts.append((0xC0, struct.pack(">BHHB", 8, height, width, 3) + bytes(frame)))
    parts += [(0xC4, bytes([table, 1, *[0] * 16])) for table in (0, 0x10)]  # one code, of one bit
    data = b"\xff\xd8" + b"".join(_segment(marker, body) for marker, body in parts)
    sizes = [(width, height), *[(-(-width // across), -(-height // down))] * 2]
    for name, (wide, high) in enumerate(sizes, 1):
        bits = 2 * -(-wide // 8) * -(-high // 8)
        coded = bytes(bits // 8) + (bytes([0xFF >> bits % 8]) if bits % 8 else b"")
        data += _segment(0xDA, bytes([1, name, 0, 0, 63, 0])) + coded
    return data + b"\xff\xd9"


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
