"""Metadata of a PNG decides no pixel, and costs none."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from encoded import MANY, PNG, chunk, decoded, drawn, encoded, exif, refused
from PIL import Image, ImageOps

from shards.images import image_file, png

IMAGE = drawn()
WHOLE = encoded(IMAGE, "PNG")
PIXELS = np.asarray(IMAGE)
_AFTER_IHDR = len(PNG) + 25
_BEFORE_IEND = len(WHOLE) - 12
_HUGE = zlib.compress(bytes(1_200_000))
_SECRETS = os.urandom(1_100_000)


def _with(*chunks: bytes, at: int = _AFTER_IHDR, data: bytes = WHOLE) -> bytes:
    return data[:at] + b"".join(chunks) + data[at:]


ANCILLARY = {
    "tEXt, 1.2 MB": chunk(b"tEXt", b"workflow\0" + b"x" * 1_200_000),
    "zTXt, 1.2 MB unpacked": chunk(b"zTXt", b"workflow\0\0" + _HUGE),
    "zTXt, damaged": chunk(b"zTXt", b"workflow\0\0nonsense"),
    "zTXt, unknown method": chunk(b"zTXt", b"workflow\0\7nonsense"),
    "iTXt, 1.2 MB unpacked": chunk(b"iTXt", b"workflow\0\1\0en\0\0" + _HUGE),
    "iTXt, no fields": chunk(b"iTXt", b"workflow"),
    "iCCP, 1.2 MB": chunk(b"iCCP", b"profile\0\0" + _HUGE),
    "iCCP, no name's end": chunk(b"iCCP", b"profile"),
    "iCCP, unknown method": chunk(b"iCCP", b"profile\0\7" + _HUGE),
    "iCCP, random": chunk(b"iCCP", b"profile\0\0" + _SECRETS),
    "eXIf, nonsense": chunk(b"eXIf", b"nonsense"),
    "eXIf, empty": chunk(b"eXIf", b""),
    "eXIf, wrong checksum": chunk(b"eXIf", exif(6), checksum=1),
    "gAMA, too short": chunk(b"gAMA", b"\0"),
    "cHRM, too short": chunk(b"cHRM", b"\0"),
    "pHYs, too short": chunk(b"pHYs", b"\0"),
    "sRGB, empty": chunk(b"sRGB", b""),
    "tRNS, too short": chunk(b"tRNS", b"\0"),
    "tIME, wrong checksum": chunk(b"tIME", bytes(7), checksum=9),
    "tEXt, wrong checksum": chunk(b"tEXt", b"a\0bcd", checksum=0),
    "private, wrong checksum": chunk(b"prVt", b"anything", checksum=5),
    "acTL, nonsense": chunk(b"acTL", b"\0"),
    "fcTL, nonsense": chunk(b"fcTL", b"\0" * 9),
    "70 texts of 1 MB": b"".join(
        chunk(b"zTXt", b"k%d\0\0" % n + zlib.compress(bytes(1_000_000))) for n in range(70)
    ),
}


@pytest.mark.parametrize("name", ANCILLARY)
@pytest.mark.parametrize("at", [_AFTER_IHDR, _BEFORE_IEND], ids=["before", "behind"])
def test_what_decides_no_pixel_costs_none(name: str, at: int) -> None:
    """Large, damaged or wrongly summed ancillary chunks leave a whole PNG whole."""
    data = _with(ANCILLARY[name], at=at)
    np.testing.assert_array_equal(decoded(data), PIXELS)
    assert image_file.check(data, max_pixels=MANY, whole=True) == image_file.Header("PNG", 61, 47)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_transparency_decides_no_color(mode: str) -> None:
    """Of each kind, the pixels with tRNS are those without, as Pillow has them; so is a damaged."""
    image = IMAGE.convert("L").convert("I;16") if mode == "I;16" else IMAGE.convert(mode)
    plain = encoded(image, "PNG")
    size = {"1": 2, "L": 2, "RGB": 6, "P": 200, "I;16": 2}.get(mode, 2)
    at = plain.index(b"IDAT") - 4
    for checksum in (None, 7):
        data = _with(chunk(b"tRNS", bytes(range(size)), checksum=checksum), at=at, data=plain)
        np.testing.assert_array_equal(decoded(data), decoded(plain))
    if mode != "I;16":
        np.testing.assert_array_equal(decoded(plain), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("at", [_AFTER_IHDR, _BEFORE_IEND], ids=["before", "behind"])
@pytest.mark.parametrize("value", range(1, 9))
def test_exif_is_kept(value: int, at: int) -> None:
    """The orientation is applied, wherever the chunk lies and whatever lies beside it."""
    data = _with(ANCILLARY["zTXt, 1.2 MB unpacked"], chunk(b"eXIf", exif(value)), at=at)
    turned = IMAGE.copy()
    turned.getexif()[0x0112] = value
    np.testing.assert_array_equal(decoded(data), np.asarray(ImageOps.exif_transpose(turned)))
    np.testing.assert_array_equal(decoded(data, upright=False), PIXELS)


def test_critical_chunks_stay_strict() -> None:
    """A wrong checksum of what decides pixels, or a missing end, is refused among any metadata."""
    text = ANCILLARY["tEXt, wrong checksum"]
    data = _with(text)
    for kind in (b"IHDR", b"IDAT", b"IEND"):
        at = data.rindex(kind)
        length = int.from_bytes(data[at - 4 : at], "big")
        end = at + 4 + length
        wrong = data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]
        assert str(refused(wrong)) == f"corrupt: checksum of PNG chunk {kind!r} is wrong"
    assert str(refused(_with(text, at=_BEFORE_IEND)[:-12])).startswith("truncated: ")
    palette = encoded(IMAGE.convert("P"), "PNG")
    at = palette.index(b"PLTE") + 9
    assert str(refused(palette[:at] + bytes([palette[at] ^ 1]) + palette[at + 1 :])).startswith(
        "corrupt: checksum of PNG chunk b'PLTE'"
    )


def test_apples_form_is_named() -> None:
    """CgBI, which iOS writes with its own order of colors, is unsupported and called so."""
    data = _with(chunk(b"CgBI", b"\x50\0\x20\2"), at=len(PNG))
    assert str(refused(data)).startswith("unsupported: Apple's CgBI variant of PNG is not decoded")
    assert str(refused(data[:60])).startswith("unsupported: Apple's CgBI")


def test_an_animation_gives_its_first_image() -> None:
    """Of thousands of frames the first one is decoded, and no other, damaged ones included."""
    frames = [Image.new("RGB", IMAGE.size, (n % 256, n // 256, 9)) for n in range(300)]
    data = encoded(IMAGE, "PNG", save_all=True, append_images=frames)
    np.testing.assert_array_equal(decoded(data), PIXELS)
    at = data.rindex(b"fdAT") + 12
    damaged = data[:at] + b"\xff" + data[at + 1 :]
    np.testing.assert_array_equal(decoded(damaged), PIXELS)
    assert len(png.plain(data)) < 2 * len(WHOLE)


def test_nothing_is_copied_without_need() -> None:
    """A PNG of critical chunks alone is handed on as it is."""
    assert png.plain(WHOLE) is WHOLE


def test_the_size_is_read_without_pixels() -> None:
    """The header alone tells the size; one that lies about its length is corrupt."""
    assert png.size(WHOLE[:33]) == (61, 47)
    short = PNG + chunk(b"IHDR", struct.pack(">I", 61)) + WHOLE[_AFTER_IHDR:]
    assert str(refused(short)) == "corrupt: the PNG's IHDR chunk is too short"
