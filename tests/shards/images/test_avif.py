"""AVIF is decoded by Pillow: right, upright once, and only where all of it is there."""

from __future__ import annotations

import io

import numpy as np
import pytest
from encoded import MANY, decoded, drawn, encoded, exif, refused
from PIL import Image, ImageOps, features

from shards.errors import BadImage
from shards.images import image_file, isobmff

if not features.check("avif"):
    pytest.skip("this Pillow was built without AVIF", allow_module_level=True)

IMAGE = drawn(80, 50)
SHARP = {"quality": 100, "subsampling": "4:4:4"}
WHOLE = encoded(IMAGE, "AVIF", **SHARP)


def _far(pixels: np.ndarray, image: Image.Image) -> int:
    return int(np.abs(pixels.astype(int) - np.asarray(image.convert("RGB")).astype(int)).max())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_pixels_are_pillows(mode: str) -> None:
    """Every mode that Pillow writes comes out as Pillow reads it; alpha is dropped."""
    data = encoded(IMAGE.convert(mode), "AVIF")
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGBA"))[:, :, :3]
    np.testing.assert_array_equal(decoded(data), expected)
    assert image_file.probe(data) == image_file.Header("AVIF", 80, 50)
    assert image_file.check(data, max_pixels=MANY, whole=True).format == "AVIF"


@pytest.mark.parametrize("value", range(1, 9))
def test_upright_once(value: int) -> None:
    """The container's rotation and mirroring are applied where upright is asked for, else not."""
    tags = Image.Exif()
    tags[0x0112] = value
    data = encoded(IMAGE, "AVIF", exif=tags, **SHARP)
    turned = IMAGE.copy()
    turned.getexif()[0x0112] = value
    assert _far(decoded(data), ImageOps.exif_transpose(turned)) <= 6
    assert _far(decoded(data, upright=False), IMAGE) <= 6
    assert image_file.probe(data) == image_file.Header("AVIF", 80, 50)
    still = isobmff.still(data)
    assert still is not None
    assert still.orientation == value


@pytest.mark.parametrize("tags", [exif(6), b"nonsense", b"", exif(6)[:20], b"Exif\0\0" + exif(6)])
def test_exif_does_not_count(tags: bytes) -> None:
    """EXIF in AVIF is for information: it neither turns nor, broken, costs an image."""
    placed = b"MM\0*\0\0\0\x08" + bytes(56)  # without tags: written as it is, then exchanged
    data = encoded(IMAGE, "AVIF", exif=placed, **SHARP)
    assert data.count(placed) == 1
    for filler in (b"\0", b"\xff"):
        other = data.replace(placed, tags.ljust(len(placed), filler))
        np.testing.assert_array_equal(decoded(other), decoded(WHOLE))


def test_an_animation_gives_its_first_image() -> None:
    """Of many frames the first one is decoded."""
    frames = [Image.new("RGB", IMAGE.size, (n * 8, 255 - n * 8, 9)) for n in range(30)]
    data = encoded(IMAGE, "AVIF", save_all=True, append_images=frames, **SHARP)
    assert _far(decoded(data), IMAGE) <= 6
    assert image_file.probe(data).format == "AVIF"


def test_a_cut_file_is_truncated() -> None:
    """Wherever it ends, nothing is made up."""
    for end in range(40, len(WHOLE) - 1, 61):
        assert str(refused(WHOLE[:end]).reason) == "truncated", end
    animated = encoded(IMAGE, "AVIF", save_all=True, append_images=[IMAGE.rotate(180)] * 3)
    for end in range(600, len(animated) - 1, 299):
        assert str(refused(animated[:end]).reason) == "truncated", end


def test_too_large_is_said_before_decoding() -> None:
    """The size that the container tells is enough, whatever lies behind it."""
    assert str(refused(WHOLE, 80 * 50 - 1)).startswith("too_large: 80 x 50 is more than 3999")
    at = WHOLE.index(b"ispe") + 8
    huge = WHOLE[:at] + (60_000).to_bytes(4, "big") * 2 + WHOLE[at + 8 :]
    assert str(refused(huge)).startswith("too_large: 60000 x 60000 is more than 100000000")


def test_mutations_end_in_a_verdict() -> None:
    """Whatever happens to the bytes, the outcome is pixels or a reason."""
    random = np.random.default_rng(4)
    small = encoded(drawn(40, 30), "AVIF")
    for _ in range(300):
        damaged = bytearray(small)
        for _ in range(random.integers(1, 6)):
            damaged[random.integers(len(damaged))] = random.integers(256)
        try:
            assert decoded(bytes(damaged)).dtype == np.uint8
        except BadImage:
            continue


def test_without_the_decoder_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Pillow that was built without AVIF makes it unsupported, with the cure."""
    monkeypatch.setattr(features, "check", lambda _: False)
    verdict = refused(WHOLE)
    assert str(verdict) == (
        "unsupported: AVIF is not supported by this build of Pillow. "
        "Run: pip install 'pillow>=11.3'"
    )
