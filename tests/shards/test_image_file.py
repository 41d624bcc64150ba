"""Bytes of one image to pixels: whole, or refused with the right reason."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from shards.errors import BadImage
from shards.images import image_file, jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


MANY = 10**8


def _photo(width: int = 61, height: int = 47) -> Image.Image:
    """Noise over a slope, with a corner that tells which side is up."""
    y, x = np.mgrid[0 : 1 : complex(height), 0 : 1 : complex(width)]
    values = np.stack([220 * x, 200 * y, 90 + 80 * x * y], axis=2)
    values += np.random.default_rng(2).normal(0, 12, values.shape)
    values[: height // 3, : width // 3] = (250, 10, 30)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def _tiff(order: str, kind: int, value: int, *, entries: int = 1, start: int = 8) -> bytes:
    """The smallest TIFF directory with an orientation in it."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    number = struct.pack(order + {1: "Bxxx", 3: "Hxx", 4: "I"}[kind], value)
    entry = struct.pack(order + "HHI", 0x0112, kind, 1) + number
    return magic + struct.pack(order + "IH", start, entries) + entry + bytes(4)


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def _with_segments(data: bytes, *segments: bytes) -> bytes:
    return data[:2] + b"".join(segments) + data[2:]


def _exif(tiff: bytes) -> bytes:
    return _segment(0xE1, b"Exif\0\0" + tiff)


JPEG = _encoded(_photo(), "JPEG", quality=90)
PROGRESSIVE = _encoded(_photo(), "JPEG", progressive=True)
PIXELS = np.asarray(Image.open(io.BytesIO(JPEG)))


def _reason(data: bytes, max_pixels: int = MANY) -> str:
    with pytest.raises(BadImage) as caught:
        image_file.decode(data, max_pixels=max_pixels)
    assert "\n" not in str(caught.value)
    return str(caught.value.fault.reason)


def _outcome(data: bytes) -> str:
    try:
        image_file.decode(data, max_pixels=MANY)
    except BadImage as bad:
        return str(bad.fault.reason)
    return "whole"


# Pixels.


def test_jpeg_pixels_are_pillows() -> None:
    """A JPEG decodes to the very pixels that Pillow makes."""
    for options in ({}, {"progressive": True}, {"subsampling": "4:4:4"}, {"keep_rgb": True}):
        data = _encoded(_photo(), "JPEG", **options)
        expected = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(image_file.decode(data, max_pixels=MANY), expected)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("value", [1, 6])
def test_gray_and_cmyk_jpegs_become_rgb(mode: str, value: int) -> None:
    """Gray and CMYK JPEGs give the RGB that Pillow gives, upright."""
    exif = Image.Exif()
    exif[0x0112] = value
    data = _encoded(_photo().convert(mode), "JPEG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    np.testing.assert_array_equal(image_file.decode(data, max_pixels=MANY), np.asarray(expected))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_png_modes_become_rgb(mode: str) -> None:
    """Alpha is dropped, not blended; gray is repeated; a palette is looked up."""
    image = _photo().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image = image.convert(mode)
    pixels = image_file.decode(_encoded(image, "PNG"), max_pixels=MANY)
    plain = image.convert("RGBA") if mode == "LA" else image
    np.testing.assert_array_equal(pixels, np.asarray(plain.convert("RGBA"))[:, :, :3])


def test_sixteen_bits_are_scaled() -> None:
    """16-bit gray is scaled and rounded to 8 bits, where Pillow alone would clip it."""
    gray = np.arange(0, 65536, 13, dtype=np.uint16)[:5000].reshape(50, 100)
    pixels = image_file.decode(_encoded(Image.fromarray(gray), "PNG"), max_pixels=MANY)
    expected = np.rint(gray * (255 / 65535)).astype(np.uint8)
    np.testing.assert_array_equal(pixels, np.stack([expected] * 3, axis=2))


def test_thirty_two_bits_are_refused() -> None:
    """A TIFF of floating-point heights is no photograph; clipping it would invent pixels."""
    data = _encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    assert _reason(data) == "unsupported"


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_turns_upright(form: str, value: int) -> None:
    """Each of the eight orientations of each format is undone as Pillow undoes it."""
    exif = Image.Exif()
    exif[0x0112] = value
    image = _photo(16, 8)
    options = {"quality": 100} if form == "JPEG" else {"lossless": True} if form == "WEBP" else {}
    data = _encoded(image, form, exif=exif, **options)
    plain = Image.open(io.BytesIO(_encoded(image, form, **options))).convert("RGB")
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
        (_tiff("<", 3, 6), 6),
        (_tiff(">", 3, 6), 6),
        (_tiff("<", 4, 8), 8),
        (_tiff(">", 4, 8), 8),
        (_tiff("<", 3, 6, entries=99), 6),
        (_tiff("<", 3, 0), 1),
        (_tiff("<", 3, 9), 1),
        (_tiff("<", 1, 6), 1),
        (_tiff("<", 3, 6, entries=0), 1),
        (_tiff("<", 3, 6, start=9999), 1),
        (_tiff("<", 3, 6)[:17], 1),
        (b"", 1),
        (b"MM*\0nonsense", 1),
    ],
)
def test_exif_is_read_or_ignored(tiff: bytes, expected: int) -> None:
    """Either byte order and number is understood; EXIF that makes no sense is as good as none."""
    data = _with_segments(JPEG, _exif(tiff))
    assert jpeg.orientation(data) == expected
    assert image_file.decode(data, max_pixels=MANY).size == PIXELS.size


def test_the_last_exif_counts() -> None:
    """Of two EXIF segments the last counts; one that only goes on with the first does not."""
    first, second = _exif(_tiff("<", 3, 3)), _exif(_tiff(">", 3, 6))
    assert jpeg.orientation(_with_segments(JPEG, first, second)) == 6
    assert jpeg.orientation(_with_segments(JPEG, first, _exif(b"the rest of the thumbnail"))) == 3


# Verdicts.


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html>404</html>", "unsupported"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "unsupported"),
        (bytes(1000), "unsupported"),
        (JPEG[:3], "truncated"),
        (JPEG[:300], "truncated"),
        (JPEG[:-2], "truncated"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (PROGRESSIVE[: len(PROGRESSIVE) // 2], "truncated"),
        (JPEG[:20] + b"nonsense" * 20, "corrupt"),
        (_encoded(_photo(), "PNG")[:-12], "truncated"),
        (_encoded(_photo(), "PNG")[:20], "truncated"),
        (_encoded(_photo(), "PNG")[:8] + b"nonsense" * 20, "corrupt"),
        (_encoded(_photo(), "WEBP")[:-30], "truncated"),
        (_encoded(_photo(), "BMP")[:-30], "truncated"),
        (_encoded(_photo(), "TIFF")[:-30], "truncated"),
        (_encoded(_photo(), "GIF")[:500], "truncated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_verdicts(data: bytes, reason: str) -> None:
    """What is no image, what ends early and what is damaged are told apart."""
    assert _reason(data) == reason


def test_real_odd_files(odd: Path) -> None:
    """Of the odd but genuine files, exactly these are refused, each for its reason."""
    refused = {
        "monkey12.jpg": "unsupported",
        "broken.png": "corrupt",
        "broken_data_stream.png": "corrupt",
        "decompression_bomb.gif": "too_large",
        "hopper_bad_exif.jpg": "corrupt",  # restart markers where none should be: stripes
        "truncated_jpeg.jpg": "truncated",
    }
    found = {}
    for file in odd.glob("*/*"):
        if "LICENSE" in file.name:
            continue
        try:
            image_file.decode(file.read_bytes(), max_pixels=MANY)
        except BadImage as bad:
            found[file.name] = str(bad.fault.reason)
    assert found == refused


def test_real_photographs_are_whole(voc_data: Path) -> None:
    """No photograph of the real hundred is refused, and all have Pillow's pixels."""
    files = sorted((voc_data / "voc2012-100" / "JPEGImages").iterdir())
    assert len(files) == 100
    for file in files:
        expected = np.asarray(Image.open(file))
        np.testing.assert_array_equal(
            image_file.decode(file.read_bytes(), max_pixels=MANY), expected
        )


@pytest.mark.parametrize("progressive", [False, True])
def test_wrong_pixels_are_not_taken(progressive: bool) -> None:
    """Bytes lost inside a JPEG, which Pillow shows as a shifted image, make it corrupt.

    Nearly always: where the loss leaves the number of blocks as it was, no decoder can tell.
    """
    whole = _encoded(_photo(200, 150), "JPEG", quality=90, progressive=progressive)
    true = np.asarray(Image.open(io.BytesIO(whole))).astype(int)
    wrong = refused = 0
    for at in range(whole.index(b"\xff\xda") + 20, len(whole) - 320, 197):
        damaged = whole[:at] + whole[at + 300 :]
        try:
            pixels = np.asarray(Image.open(io.BytesIO(damaged)))
        except OSError:
            continue
        if np.abs(pixels - true).mean() > 3:
            wrong += 1
            refused += _outcome(damaged) == "corrupt"
    assert wrong > 10
    assert refused >= 0.9 * wrong


def test_a_progressive_jpeg_that_ends_anywhere_is_truncated() -> None:
    """Cut inside a scan, between scans or inside a scan's tables, it is truncated, not corrupt."""
    for end in range(3, len(PROGRESSIVE) - 1, 5):
        assert _reason(PROGRESSIVE[:end]) == "truncated"


def test_cmyk_is_as_strict() -> None:
    """A damaged CMYK JPEG is corrupt, though Pillow, which makes its pixels, says nothing."""
    whole = _encoded(_photo(200, 150).convert("CMYK"), "JPEG")
    middle = len(whole) // 2
    damaged = whole[:middle] + whole[middle + 500 :]
    Image.open(io.BytesIO(damaged)).load()
    assert _reason(damaged) == "corrupt"


@pytest.mark.parametrize(
    "data",
    [
        JPEG + b"a second image, a trailer",
        _with_segments(JPEG, _segment(0xFE, b"a comment")),
        _with_segments(JPEG, _segment(0xE2, b"ICC_PROFILE\0\x05\x02nonsense")),
        JPEG[:11] + b"\x09" + JPEG[12:],
        JPEG[:20] + b"\xff\xff\xff" + JPEG[20:],
        _with_segments(JPEG, _exif(b"nonsense")),
    ],
    ids=["trailer", "comment", "bad color profile", "JFIF revision 9", "fill bytes", "bad EXIF"],
)
def test_harmless_oddities_are_forgiven(data: bytes) -> None:
    """What does not touch the pixels does not cost the image."""
    np.testing.assert_array_equal(image_file.decode(data, max_pixels=MANY), PIXELS)
    jpeg.check(data)


@pytest.mark.parametrize("whole", [JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
def test_check_agrees_with_decode(whole: bytes) -> None:
    """The cheaper check gives decode's verdict on 300 seeded mutations, harmless and not."""
    random = np.random.default_rng(11)
    verdicts = set()
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[random.integers(2, len(whole))] ^= 1 << random.integers(8)
        if random.random() < 0.3:
            del damaged[random.integers(len(damaged)) :]
        checked, decoded = (_verdict(attempt, damaged) for attempt in (jpeg.check, jpeg.decode))
        assert checked == decoded
        verdicts.add(decoded.split(":")[0])
    assert {"whole", "corrupt", "truncated"} <= verdicts


def _verdict(attempt: Callable[[bytes], object], data: bytearray) -> str:
    try:
        attempt(bytes(data))
    except BadImage as bad:
        return str(bad)
    return "whole"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM"])
def test_mutations_end_in_a_verdict(form: str) -> None:
    """Whatever happens to the bytes, the outcome is pixels or a reason, never another error."""
    random = np.random.default_rng(4)
    whole = _encoded(_photo(), form)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(random.integers(1, 6)):
            damaged[random.integers(len(damaged))] = random.integers(256)
        if random.random() < 0.3:
            del damaged[random.integers(len(damaged)) :]
        try:
            pixels = image_file.decode(bytes(damaged), max_pixels=10**6)
        except BadImage:
            continue
        assert pixels.dtype == np.uint8
        assert pixels.shape[2:] == (3,)


def test_png_checksums_are_checked() -> None:
    """Every flipped bit of a PNG's pixel data is found, also where Pillow decodes on."""
    png = _encoded(_photo(), "PNG")
    start = png.index(b"IDAT")
    for at in range(start, len(png) - 12, 97):
        assert _reason(png[:at] + bytes([png[at] ^ 4]) + png[at + 1 :]) == "corrupt"


def test_too_large_is_said_before_decoding() -> None:
    """A header that promises too many pixels is refused by that alone, whatever lies behind it."""
    at = JPEG.index(b"\xff\xc0") + 5
    bomb = JPEG[:at] + struct.pack(">HH", 65000, 65000) + JPEG[at + 4 : len(JPEG) // 2]
    assert _reason(bomb) == "too_large"
    for form in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"):
        data = _encoded(_photo(), form)
        assert _reason(data, max_pixels=61 * 47 - 1) == "too_large"
        assert image_file.decode(data, max_pixels=61 * 47).shape == (47, 61, 3)


def test_pillows_own_limit_is_off() -> None:
    """Only `max_pixels` decides: Pillow neither refuses nor warns at 90 and 180 megapixels."""
    wide = _encoded(Image.new("1", (60000, 4000)), "PNG")
    assert image_file.probe(wide) == image_file.Header("PNG", 60000, 4000)


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "empty"), (b"text", "unsupported"), (JPEG[:30], "truncated")]
)
def test_probe_refuses_what_has_no_header(data: bytes, reason: str) -> None:
    """Without a header there is no size to tell."""
    with pytest.raises(BadImage) as caught:
        image_file.probe(data)
    assert str(caught.value.fault.reason) == reason


def test_nothing_is_said_on_standard_error() -> None:
    """Pillow's warnings about odd metadata do not reach the terminal."""
    code = """
import io, sys
from PIL import Image
from shards.images import image_file
out = io.BytesIO()
Image.new("RGB", (8, 8)).save(out, "TIFF", tiffinfo={305: 40 * "x"})
data = bytearray(out.getvalue())
at = data.index(bytes([0x31, 1, 2, 0])) + 4
data[at : at + 4] = (10**6).to_bytes(4, "little")  # longer than the file: Pillow warns
image_file.decode(bytes(data), max_pixels=64)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""


# Re-encoding.


def test_resize_jpeg_is_square_upright_and_plain() -> None:
    """The re-encoded image has the size, no EXIF, chroma at half resolution, like pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = _encoded(_photo(), "JPEG", quality=95, exif=exif)
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
