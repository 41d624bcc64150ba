"""Bytes of one image to the pixels that Pillow makes of them; and images made smaller."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps
from small_images import (
    JPEG,
    MANY,
    PIXELS,
    encoded,
    exif_segment,
    photo,
    reason_of,
    tiff_of,
    with_segments,
)

from shards.errors import BadImage
from shards.images import image_file, jpeg

if TYPE_CHECKING:
    from pathlib import Path


def test_jpeg_pixels_are_pillows() -> None:
    """A JPEG decodes to the very pixels that Pillow makes."""
    for options in ({}, {"progressive": True}, {"subsampling": "4:4:4"}, {"keep_rgb": True}):
        data = encoded(photo(), "JPEG", **options)
        expected = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(image_file.decode(data, max_pixels=MANY), expected)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("value", [1, 6])
def test_gray_and_cmyk_jpegs_become_rgb(mode: str, value: int) -> None:
    """Gray and CMYK JPEGs give the RGB that Pillow gives, upright."""
    exif = Image.Exif()
    exif[0x0112] = value
    data = encoded(photo().convert(mode), "JPEG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    np.testing.assert_array_equal(image_file.decode(data, max_pixels=MANY), np.asarray(expected))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_png_modes_become_rgb(mode: str) -> None:
    """Alpha is dropped, not blended; gray is repeated; a palette is looked up."""
    image = photo().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image = image.convert(mode)
    pixels = image_file.decode(encoded(image, "PNG"), max_pixels=MANY)
    plain = image.convert("RGBA") if mode == "LA" else image
    np.testing.assert_array_equal(pixels, np.asarray(plain.convert("RGBA"))[:, :, :3])


def test_sixteen_bits_are_scaled() -> None:
    """16-bit gray is scaled and rounded to 8 bits, where Pillow alone would clip it."""
    gray = np.arange(0, 65536, 13, dtype=np.uint16)[:5000].reshape(50, 100)
    pixels = image_file.decode(encoded(Image.fromarray(gray), "PNG"), max_pixels=MANY)
    expected = np.rint(gray * (255 / 65535)).astype(np.uint8)
    np.testing.assert_array_equal(pixels, np.stack([expected] * 3, axis=2))


def test_thirty_two_bits_are_refused() -> None:
    """A TIFF of floating-point heights is no photograph; clipping it would invent pixels."""
    data = encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    assert reason_of(data) == "unsupported"


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_turns_upright(form: str, value: int) -> None:
    """Each of the eight orientations of each format is undone as Pillow undoes it."""
    exif = Image.Exif()
    exif[0x0112] = value
    image = photo(16, 8)
    options = {"quality": 100} if form == "JPEG" else {"lossless": True} if form == "WEBP" else {}
    data = encoded(image, form, exif=exif, **options)
    plain = Image.open(io.BytesIO(encoded(image, form, **options))).convert("RGB")
    turned = plain.copy()
    turned.getexif()[0x0112] = value
    turned = ImageOps.exif_transpose(turned)
    np.testing.assert_array_equal(image_file.decode(data, max_pixels=MANY), np.asarray(turned))
    stored = image_file.decode(data, upright=False, max_pixels=MANY)
    np.testing.assert_array_equal(stored, np.asarray(plain))
    assert image_file.probe(data) == image_file.Header(form, 16, 8)


@pytest.mark.parametrize(
    ("tiff", "expected"),
    [
        (tiff_of("<", 3, 6), 6),
        (tiff_of(">", 3, 6), 6),
        (tiff_of("<", 4, 8), 8),
        (tiff_of(">", 4, 8), 8),
        (tiff_of("<", 3, 6, entries=99), 6),
        (tiff_of("<", 3, 0), 1),
        (tiff_of("<", 3, 9), 1),
        (tiff_of("<", 1, 6), 1),
        (tiff_of("<", 3, 6, entries=0), 1),
        (tiff_of("<", 3, 6, start=9999), 1),
        (tiff_of("<", 3, 6)[:17], 1),
        (b"", 1),
        (b"MM*\0nonsense", 1),
    ],
)
def test_exif_is_read_or_ignored(tiff: bytes, expected: int) -> None:
    """Either byte order and number is understood; EXIF that makes no sense is as good as none."""
    data = with_segments(JPEG, exif_segment(tiff))
    assert jpeg.orientation(data) == expected
    assert image_file.decode(data, max_pixels=MANY).size == PIXELS.size


@pytest.mark.parametrize("values", [(3, 6), (6, 3), (1, 6), (6, 1)])
def test_the_first_exif_counts(values: tuple[int, int]) -> None:
    """Of several EXIF segments, Pillow too takes the first; what follows may continue it."""
    segments = [
        exif_segment(tiff_of(order, 3, value)) for order, value in zip("<>", values, strict=True)
    ]
    data = with_segments(JPEG, *segments)
    assert jpeg.orientation(data) == values[0] == Image.open(io.BytesIO(data)).getexif()[0x0112]
    cut = tiff_of("<", 3, 6)
    split = with_segments(JPEG, exif_segment(cut[:9]), exif_segment(cut[9:]))
    assert jpeg.orientation(split) == 6 == Image.open(io.BytesIO(split)).getexif()[0x0112]


@pytest.mark.parametrize(
    "entries",
    [
        [(8, 1, 6)],
        [(9, 1, 6)],
        [(13, 1, 6)],
        [(3, 0, 6)],
        [(3, 1, 8), (3, 1, 6)],
        [(3, 2, 7)],
        [(3, 3, 8)],
        [(2, 1, 6)],
    ],
)
@pytest.mark.filterwarnings("ignore:Metadata Warning")
def test_odd_entries_of_exif_are_read_as_pillow_reads_them(
    entries: list[tuple[int, int, int]],
) -> None:
    """Signed numbers, no value, several values or entries; (type, count, value) of each."""
    tiff = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for kind, count, value in entries:  # three values lie where the last four bytes point to
        tiff += struct.pack("<HHIHH", 0x0112, kind, count, value, 0)
    data = with_segments(JPEG, exif_segment(tiff + bytes(4)))
    told = Image.open(io.BytesIO(data)).getexif().get(0x0112)
    assert jpeg.orientation(data) == (told if told in range(1, 9) else 1)


def test_real_photographs_are_whole(voc_data: Path) -> None:
    """No photograph of the real hundred is refused, and all have Pillow's pixels."""
    files = sorted((voc_data / "voc2012-100" / "JPEGImages").iterdir())
    assert len(files) == 100
    for file in files:
        expected = np.asarray(Image.open(file))
        np.testing.assert_array_equal(
            image_file.decode(file.read_bytes(), max_pixels=MANY), expected
        )


def test_resize_jpeg_is_square_upright_and_plain() -> None:
    """The re-encoded image has the size, no EXIF, chroma at half resolution, like pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(photo(), "JPEG", quality=95, exif=exif)
    small = image_file.resize_jpeg(data, size=32, quality=95, max_pixels=MANY)
    assert simplejpeg.decode_jpeg_header(small) == (32, 32, "YCbCr", "420")
    assert b"Exif" not in small
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    expected = np.asarray(upright.resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(image_file.decode(small, max_pixels=MANY) - expected).mean() < 6


def test_resize_jpeg_repeats_itself() -> None:
    """Equal input gives equal bytes; another quality gives others; a bad image is refused."""
    one = image_file.resize_jpeg(JPEG, size=24, quality=80, max_pixels=MANY)
    assert one == image_file.resize_jpeg(JPEG, size=24, quality=80, max_pixels=MANY)
    assert len(one) < len(image_file.resize_jpeg(JPEG, size=24, quality=98, max_pixels=MANY))
    with pytest.raises(BadImage):
        image_file.resize_jpeg(JPEG[:500], size=24, quality=80, max_pixels=MANY)
