"""PNGs through libspng have Pillow's pixels, and every refusal is Pillow's."""

from __future__ import annotations

import io
import random
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from encoded import MANY, PNG, chunk, decoded, drawn, encoded, exif
from PIL import Image, ImageOps

from shards.errors import BadImage
from shards.images import image_file, spng

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ["L", "P", "RGB", "RGBA"]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each PNG since, whether libspng decoded it."""
    found: list[bool] = []
    decode = spng.decode

    def noted(*given: object) -> object:
        pixels = decode(*given)
        found.append(pixels is not None)
        return pixels

    monkeypatch.setattr(spng, "decode", noted)
    return found


@pytest.mark.parametrize("mode", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (61, 47), (130, 5)])
def test_its_pixels_are_those_of_pillow(
    mode: str, size: tuple[int, int], taken: list[bool]
) -> None:
    """Gray repeated, palettes applied, alpha dropped."""
    image = drawn(*size).convert(mode)
    assert (decoded(encoded(image, "PNG")) == np.asarray(image.convert("RGB"))).all()
    assert taken == [True]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_upright(orientation: int, taken: list[bool]) -> None:
    """By EXIF, as Pillow's ImageOps turns it."""
    image = drawn()
    data = encoded(image, "PNG", exif=b"Exif\0\0" + exif(orientation))
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    assert (decoded(data) == expected).all()
    assert taken == [True]


@pytest.mark.parametrize(
    "image",
    [drawn().convert("LA"), drawn().convert("1"), drawn().convert("L").convert("I;16")],
    ids=["gray and alpha", "one bit", "16 bits"],
)
def test_other_kinds_are_left_to_pillow(image: Image.Image, taken: list[bool]) -> None:
    """They decode as without it."""
    assert decoded(encoded(image, "PNG")).shape == (47, 61, 3)
    assert not any(taken)


def _verdict(data: bytes) -> object:
    try:
        return image_file.decode(data, max_pixels=MANY).tobytes()
    except BadImage as bad:
        return bad.fault


def _damaged(whole: bytes, rng: random.Random) -> bytes:
    """Change the data of a PNG, with right checksums, or its header."""
    start = whole.index(b"IDAT")
    header, stream = bytearray(whole[len(PNG) + 8 : len(PNG) + 21]), whole[start + 4 : -16]
    raw = bytearray(zlib.decompress(stream))
    ways: list[Callable[[], bytes]] = [
        lambda: zlib.compress(bytes(raw[: rng.randrange(len(raw))])),
        lambda: zlib.compress(bytes(raw) + bytes(9)),
        lambda: stream[: rng.randrange(len(stream) - 5)],
        lambda: stream[:-1] + bytes([stream[-1] ^ 4]),
        lambda: zlib.compress(bytes([*raw[:-300], 9, *raw[-299:]])),
        lambda: stream[:40] + bytes([stream[40] ^ (1 << rng.randrange(8))]) + stream[41:],
    ]
    if rng.random() < 0.2:
        header[rng.randrange(13)] ^= 1 << rng.randrange(3)
    body = chunk(b"IHDR", bytes(header)) + whole[len(PNG) + 25 : start - 4]
    return PNG + body + chunk(b"IDAT", rng.choice(ways)()) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", KINDS)
def test_what_it_cannot_decode_is_judged_by_pillow(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels, reasons and details of damaged files are those without the library."""
    rng = random.Random(KINDS.index(mode))
    whole = encoded(drawn(40, 30).convert(mode), "PNG")
    files = [_damaged(whole, rng) for _ in range(250)]
    found = [_verdict(data) for data in files]
    monkeypatch.setattr(spng, "library", lambda: None)
    assert found == [_verdict(data) for data in files]
    assert any(isinstance(verdict, bytes) for verdict in found)


def test_a_second_header_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders would take its size, which no limit has seen."""
    whole = encoded(drawn(), "PNG")
    second = chunk(b"IHDR", b"\0\0\xff\xff" * 2 + b"\x08\x02\0\0\0")
    for library in (spng.library, lambda: None):
        monkeypatch.setattr(spng, "library", library)
        with pytest.raises(BadImage, match="second IHDR"):
            decoded(whole[:-12] + second + whole[-12:])
