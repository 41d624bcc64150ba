"""Large JPEGs, decoded smaller on the way to a small square: the rule, and the same verdict."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from shards.errors import BadImage
from shards.images import image_file, jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANY = 10**9


def _photo(width: int, height: int) -> Image.Image:
    """Noise over a slope, with a corner that tells which side is up."""
    y, x = np.mgrid[0 : 1 : complex(height), 0 : 1 : complex(width)]
    values = np.stack([220 * x, 200 * y, 90 + 80 * x * y], axis=2)
    values += np.random.default_rng(2).normal(0, 12, values.shape)
    values[: height // 3, : width // 3] = (250, 10, 30)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _encoded(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("width", "height", "side", "expected"),
    [
        (500, 375, 256, 1),
        (1024, 768, 256, 1),
        (1434, 1434, 256, 4),
        (1433, 9999, 256, 1),
        (3264, 2448, 256, 4),
        (2868, 2868, 256, 8),
        (9999, 2867, 256, 4),
        (4000, 3000, 256, 8),
        (3000, 4000, 256, 8),
        (4000, 3000, 448, 4),
        (4000, 3000, 1000, 1),
        (1, 1, 1, 1),
    ],
)
def test_the_rule(width: int, height: int, side: int, expected: int) -> None:
    """An eighth or a quarter where 1.4 pixels are left for one, both ways; never less room."""
    assert jpeg.reduction(width, height, side=side) == expected


@pytest.mark.parametrize(("side", "reduced"), [(4, 8), (8, 4)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": "4:4:4"}], ids=str)
def test_the_verdict_is_that_of_the_full_decode(
    side: int, reduced: int, options: dict[str, object]
) -> None:
    """Of 300 seeded mutations the reduced decode says, to the letter, what the full one says.

    Only at 1/8, damage inside a scan that this does not use is not found, except by `thorough`.
    """
    lenient = reduced == 8 and "progressive" in options
    whole = _encoded(_photo(61, 47), quality=90, **options)
    assert image_file.decode_to_resize(whole, side, max_pixels=MANY).reduced == reduced
    random = np.random.default_rng(12)
    verdicts = set()
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[random.integers(2, len(whole))] ^= 1 << random.integers(8)
        if random.random() < 0.3:
            del damaged[random.integers(len(damaged)) :]
        data = bytes(damaged)
        full = _verdict(lambda data=data: image_file.decode(data, max_pixels=10**6))
        small, thorough = (
            _verdict(
                lambda data=data, thorough=thorough: image_file.decode_to_resize(
                    data, side, max_pixels=10**6, thorough=thorough
                )
            )
            for thorough in (False, True)
        )
        assert thorough == full
        assert small == full or (lenient and small == "whole" and full.startswith("corrupt"))
        verdicts.add(full.split(":")[0])
    assert {"whole", "corrupt", "truncated"} <= verdicts


def _verdict(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except BadImage as bad:
        return str(bad)
    return "whole"


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 7), (8, 9), (15, 17), (300, 2), (61, 47)])
def test_small_images_are_decoded_in_full(shape: tuple[int, int]) -> None:
    """What the rule leaves alone has Pillow's pixels, every one, also where a block is not full."""
    data = _encoded(_photo(*shape))
    decoded = image_file.decode_to_resize(data, 256, max_pixels=MANY)
    np.testing.assert_array_equal(decoded.pixels, np.asarray(Image.open(io.BytesIO(data))))
    assert (decoded.width, decoded.height, decoded.reduced, decoded.orientation) == (*shape, 1, 1)


def test_real_photographs_are_decoded_in_full(voc_data: Path) -> None:
    """A VOC photograph on its way to 256 x 256 keeps, bit for bit, the pixels it always had."""
    for file in sorted((voc_data / "voc2012-100" / "JPEGImages").iterdir()):
        decoded = image_file.decode_to_resize(file.read_bytes(), 256, max_pixels=MANY)
        np.testing.assert_array_equal(decoded.pixels, np.asarray(Image.open(file)))


def test_a_reduced_image_tells_what_it_covers() -> None:
    """The last column of 1001 at an eighth stands for one pixel: 125.125 columns are covered."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = _encoded(_photo(1001, 750), exif=exif)
    decoded = image_file.decode_to_resize(data, 64, max_pixels=MANY)
    assert decoded.pixels.shape == (94, 126, 3)
    assert (decoded.width, decoded.height) == (1001 / 8, 750 / 8)
    assert (decoded.reduced, decoded.orientation) == (8, 6)
    assert image_file.decode_to_resize(data, 64, upright=False, max_pixels=MANY).orientation == 1


def test_only_ordinary_jpegs_are_reduced() -> None:
    """Other formats and inks are decoded in full, however large."""
    image = _photo(1000, 750)
    for data in (_encoded(image, "PNG"), _encoded(image.convert("CMYK"))):
        decoded = image_file.decode_to_resize(data, 64, max_pixels=MANY)
        np.testing.assert_array_equal(decoded.pixels, image_file.decode(data, max_pixels=MANY))
    assert (
        image_file.decode_to_resize(_encoded(image.convert("L")), 64, max_pixels=MANY).reduced == 8
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_resize_jpeg_of_a_large_one(orientation: int) -> None:
    """Re-encoded from an eighth, upright: what re-encoding the full decode gives, nearly."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _encoded(_photo(1001, 755), quality=90, exif=exif)
    small = image_file.resize_jpeg(data, size=64, quality=95, max_pixels=MANY)
    whole = Image.fromarray(image_file.decode(data, max_pixels=MANY))
    expected = _encoded(
        whole.resize((64, 64), Image.Resampling.BILINEAR), quality=95, subsampling="4:2:0"
    )
    got, wanted = (image_file.decode(one, max_pixels=MANY).astype(int) for one in (small, expected))
    assert np.abs(got - wanted).mean() < 1.5
