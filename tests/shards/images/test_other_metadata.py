"""WebP, GIF, PNM and BMP: metadata, further frames and odd headers decide no pixel."""

from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
from encoded import MANY, decoded, drawn, encoded, exif, refused
from PIL import Image, ImageOps

from shards.images import image_file, webp

IMAGE = drawn()
STILL = encoded(IMAGE, "WEBP")[12:]  # its chunk of pixels


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _canvas(flags: int, width: int = 61, height: int = 47) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size)


WEBP = {
    "nonsense": _riff(_canvas(0x2C), _chunk(b"ICCP", b"x" * 7), STILL, _chunk(b"EXIF", b"junk")),
    "5 MB": _riff(_canvas(0x24), _chunk(b"ICCP", b"x" * 5_000_000), STILL, _chunk(b"XMP ", b"y")),
    "promised and not there": _riff(_canvas(0x2C), STILL),
    "there and not promised": _riff(_canvas(0), STILL, _chunk(b"EXIF", exif(1))),
    "a length behind the end": _riff(_canvas(8), STILL, b"EXIF" + struct.pack("<I", 10**6) + b"ab"),
    "a huge length": _riff(_canvas(8), STILL, b"EXIF\xf0\xff\xff\xffab"),
    "odd and not filled up": _riff(_canvas(8), STILL, b"EXIF\3\0\0\0abc"),
    "unknown chunks": _riff(_canvas(0), _chunk(b"ABCD", b"12"), STILL, _chunk(b"WXYZ", b"1")),
    "more behind the end": _riff(STILL) + b"a trailer",
}


@pytest.mark.parametrize("name", WEBP)
def test_metadata_of_webp_costs_nothing(name: str) -> None:
    """Whatever stands beside the pixels, they are those of the image without it."""
    np.testing.assert_array_equal(decoded(WEBP[name]), decoded(_riff(STILL)))
    assert image_file.probe(WEBP[name]) == image_file.Header("WEBP", 61, 47)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("before", [b"", b"Exif\0\0"])
def test_exif_of_webp_is_kept(value: int, before: bytes) -> None:
    """The orientation is applied, from the chunk of whichever form."""
    data = _riff(_canvas(8), STILL, _chunk(b"EXIF", before + exif(value)))
    plain = Image.fromarray(decoded(_riff(STILL)))
    plain.getexif()[0x0112] = value
    np.testing.assert_array_equal(decoded(data), np.asarray(ImageOps.exif_transpose(plain)))


@pytest.mark.parametrize("form", ["WEBP", "GIF"])
def test_an_animation_gives_its_first_image(form: str) -> None:
    """Of 600 frames only the first one is decoded: in a small share of the time of all."""
    frames = [Image.new("RGB", IMAGE.size, (n % 256, n // 256, 99)) for n in range(600)]
    data = encoded(IMAGE, form, save_all=True, append_images=frames, lossless=True, duration=20)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGB"))
        assert opened.n_frames > 500
    started = time.thread_time()  # of a core: other processes take none of it
    np.testing.assert_array_equal(decoded(data), expected)
    assert time.thread_time() - started < 0.2
    if form == "WEBP":
        assert len(webp.plain(data)[0]) < 20_000


def test_webp_is_whole_or_refused() -> None:
    """A cut file, one without pixels and one of nonsense have their reasons."""
    for data in (_riff(STILL), WEBP["nonsense"]):
        for end in range(16, len(data), 97):
            assert str(refused(data[:end]).reason) == "truncated", end
    assert str(refused(_riff(_canvas(0))).reason) == "corrupt"
    assert str(refused(_riff(_chunk(b"VP8 ", b"x" * 40))).reason) == "corrupt"


def test_a_canvas_is_measured_before_memory_is_taken() -> None:
    """16 million pixels a side are too large by the header, without a decoder."""
    huge = _riff(_canvas(2, 1 << 24, 200), STILL)
    assert str(refused(huge)).startswith("too_large: 16777216 x 200 is more than")


def test_the_screen_of_a_gif_is_measured() -> None:
    """A GIF with a screen of 65,535 pixels a side and a small frame is too large."""
    data = encoded(IMAGE, "GIF")
    huge = data[:6] + b"\xff\xff\xff\xff" + data[10:]
    assert str(refused(huge)).startswith("too_large: 65535 x 65535 is more than")


def test_extensions_of_gif_cost_nothing() -> None:
    """Two megabytes of comments and applications' blocks leave the pixels what they are."""
    data = encoded(IMAGE, "GIF")
    at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    blocks = b"".join(b"\xff" + bytes(255) for _ in range(4000)) + b"\0"
    more = b"\x21\xfe" + blocks + b"\x21\xff\x0bXMP DataXMP" + blocks + b"\x21\xfe\5short\0"
    np.testing.assert_array_equal(decoded(data[:at] + more + data[at:]), decoded(data))


def _ascii(*numbers: object) -> bytes:
    return b" ".join(str(one).encode() for one in numbers)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P1\n# a comment\n2 2\n0 1 1 0\n", [[255, 0], [0, 255]]),
        (b"P4 2 2\n\x40\x80", [[255, 0], [0, 255]]),
        (b"P2 2 2 255\n0 10 20 255\n", [[0, 10], [20, 255]]),
        (b"P2 2 2 100\n0 10 20 100\n", [[0, 26], [51, 255]]),
        (b"P5 2 2 255\n\x00\x0a\x14\xff", [[0, 10], [20, 255]]),
        (b"P5 2 2 65535\n" + struct.pack(">4H", 0, 2570, 5140, 65535), [[0, 10], [20, 255]]),
        (b"P5 2 2 4095\n" + struct.pack(">4H", 0, 161, 321, 4095), [[0, 10], [20, 255]]),
        (b"P2 2 2 65535\n0 2570 5140 65535\n", [[0, 10], [20, 255]]),
    ],
    ids=lambda value: str(value[:12]) if isinstance(value, bytes) else "",
)
def test_pnm(data: bytes, expected: list[list[int]]) -> None:
    """Bits, gray of any depth, in numbers and in bytes."""
    np.testing.assert_array_equal(decoded(data), np.repeat(np.array(expected)[:, :, None], 3, 2))
    assert image_file.check(data, max_pixels=MANY, whole=True) == image_file.Header("PPM", 2, 2)


def test_pnm_in_color() -> None:
    """8 and 16 bits of color, in numbers and in bytes."""
    values = [0, 10, 20, 30, 40, 255]
    expected = np.array(values).reshape(1, 2, 3)
    for data in (
        b"P3 2 1 255\n" + _ascii(*values),
        b"P6 2 1 255\n" + bytes(values),
        b"P6 2 1 65535\n" + struct.pack(">6H", *(one * 257 for one in values)),
    ):
        np.testing.assert_array_equal(decoded(data), expected)


@pytest.mark.parametrize(
    "data", [b"P3 2 2 255\n1 2 3", b"P2 9 9 255\n1 2", b"P5 9 9 255\nabc", b"P6 4 4 65535\nabc"]
)
def test_pnm_that_is_cut(data: bytes) -> None:
    """Numbers that are missing make it truncated."""
    assert str(refused(data).reason) == "truncated"
