"""Which images are refused, for which reason, and which are forgiven."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from small_images import (
    JPEG,
    MANY,
    PIXELS,
    PROGRESSIVE,
    encoded,
    exif_segment,
    outcome_of,
    photo,
    reason_of,
    segment,
    with_segments,
)

from shards.errors import BadImage
from shards.images import image_file, jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
        (encoded(photo(), "PNG")[:-12], "truncated"),
        (encoded(photo(), "PNG")[:20], "truncated"),
        (encoded(photo(), "PNG")[:8] + b"nonsense" * 20, "corrupt"),
        (encoded(photo(), "WEBP")[:-30], "truncated"),
        (encoded(photo(), "BMP")[:-30], "truncated"),
        (encoded(photo(), "TIFF")[:-30], "truncated"),
        (encoded(photo(), "GIF")[:500], "truncated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_verdicts(data: bytes, reason: str) -> None:
    """What is no image, what ends early and what is damaged are told apart."""
    assert reason_of(data) == reason


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


@pytest.mark.parametrize("progressive", [False, True])
def test_wrong_pixels_are_not_taken(progressive: bool) -> None:
    """Bytes lost inside a JPEG, which Pillow shows as a shifted image, make it corrupt.

    Nearly always: where the loss leaves the number of blocks as it was, no decoder can tell.
    """
    whole = encoded(photo(200, 150), "JPEG", quality=90, progressive=progressive)
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
            refused += outcome_of(damaged) == "corrupt"
    assert wrong > 10
    assert refused >= 0.9 * wrong


def test_a_progressive_jpeg_that_ends_anywhere_is_truncated() -> None:
    """Cut inside a scan, between scans or inside a scan's tables, it is truncated, not corrupt."""
    for end in range(3, len(PROGRESSIVE) - 1, 5):
        assert reason_of(PROGRESSIVE[:end]) == "truncated"


def test_cmyk_is_as_strict() -> None:
    """A damaged CMYK JPEG is corrupt, though Pillow, which makes its pixels, says nothing."""
    whole = encoded(photo(200, 150).convert("CMYK"), "JPEG")
    middle = len(whole) // 2
    damaged = whole[:middle] + whole[middle + 500 :]
    Image.open(io.BytesIO(damaged)).load()
    assert reason_of(damaged) == "corrupt"


@pytest.mark.parametrize(
    "data",
    [
        JPEG + b"a second image, a trailer",
        with_segments(JPEG, segment(0xFE, b"a comment")),
        with_segments(JPEG, segment(0xE2, b"ICC_PROFILE\0\x05\x02nonsense")),
        JPEG[:11] + b"\x09" + JPEG[12:],
        JPEG[:20] + b"\xff\xff\xff" + JPEG[20:],
        with_segments(JPEG, exif_segment(b"nonsense")),
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
    whole = encoded(photo(), form)
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
    png = encoded(photo(), "PNG")
    start = png.index(b"IDAT")
    for at in range(start, len(png) - 12, 97):
        assert reason_of(png[:at] + bytes([png[at] ^ 4]) + png[at + 1 :]) == "corrupt"


def test_too_large_is_said_before_decoding() -> None:
    """A header that promises too many pixels is refused by that alone, whatever lies behind it."""
    at = JPEG.index(b"\xff\xc0") + 5
    bomb = JPEG[:at] + struct.pack(">HH", 65000, 65000) + JPEG[at + 4 : len(JPEG) // 2]
    assert reason_of(bomb) == "too_large"
    for form in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"):
        data = encoded(photo(), form)
        assert reason_of(data, max_pixels=61 * 47 - 1) == "too_large"
        assert image_file.decode(data, max_pixels=61 * 47).shape == (47, 61, 3)


def test_pillows_own_limit_is_off() -> None:
    """Only `max_pixels` decides: Pillow neither refuses nor warns at 90 and 180 megapixels."""
    wide = encoded(Image.new("1", (60000, 4000)), "PNG")
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
