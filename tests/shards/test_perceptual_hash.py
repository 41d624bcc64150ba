"""Hashes equal those of scipy's DCT, and copies of a photograph have nearly the same."""

from __future__ import annotations

import io
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from small_sets import image_bytes

from shards.errors import BadImage
from shards.perceptual_hash import SIDE, hash_gray, hash_image

if TYPE_CHECKING:
    from pathlib import Path

MOST = 10**8


def saved(image: Image.Image, kind: str = "JPEG", quality: int = 90, turn: int = 1) -> bytes:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = turn
    image.save(file, kind, quality=quality, exif=exif)
    return file.getvalue()


def hash_of(image: Image.Image, kind: str = "JPEG", quality: int = 90, turn: int = 1) -> int:
    found = hash_image(saved(image, kind, quality, turn), max_pixels=MOST)
    assert found is not None
    return found


def apart(one: int, other: int) -> int:
    return f"{one ^ other:b}".count("1")


@pytest.mark.parametrize("seed", range(5))
def test_bits_are_those_of_scipys_transform(seed: int) -> None:
    """Bit by bit: whether a frequency of scipy's DCT is above the median of the 63 others."""
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    frequencies = dctn(pixels.astype(float), norm="ortho")[:8, :8].ravel().tolist()
    median = sorted(frequencies[1:])[31]
    bits = "0" + "".join(str(int(one > median)) for one in frequencies[1:])
    assert hash_gray(pixels) == int(bits, 2)


def drawing() -> Image.Image:
    """Four fields of different brightness, upscaled: no symmetry under turns."""
    pixels = np.random.default_rng(7).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((640, 480), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("turn", range(1, 9))
def test_an_image_is_hashed_upright(turn: int) -> None:
    """A stored image with an EXIF orientation has the hash of what Pillow turns upright."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(saved(drawing(), "PNG", turn=turn))))
    assert apart(hash_of(drawing(), turn=turn), hash_of(upright, "PNG")) <= 2


@pytest.mark.parametrize("gray", [0, 128, 255])
def test_a_flat_image_has_no_hash(gray: int) -> None:
    """One color, or one color with a gray level of noise, is not like every other flat image."""
    flat = Image.new("RGB", (100, 80), (gray, gray, gray))
    assert hash_image(saved(flat, quality=30), max_pixels=MOST) is None
    noise = np.random.default_rng(0).integers(0, 2, (80, 100, 3)) + min(gray, 254)
    noisy = Image.fromarray(noise.astype(np.uint8))
    assert hash_image(saved(noisy), max_pixels=MOST) is None


def test_a_bad_image_is_refused() -> None:
    """A JPEG that is cut short raises, as decoding it does."""
    with pytest.raises(BadImage, match="truncated"):
        hash_image(image_bytes(0)[:-200], max_pixels=MOST)


def test_photographs_are_apart_and_their_copies_are_not(voc_data: Path) -> None:
    """No two of 40 photographs differ in under 18 bits; copies half as large differ in at most 2,
    strongly compressed in at most 10, cropped by 1% in at most 8.
    """
    files = sorted((voc_data / "voc2012-100" / "JPEGImages").glob("*.jpg"))[:40]
    photographs = [Image.open(file).convert("RGB") for file in files]
    hashes = [hash_image(file.read_bytes(), max_pixels=MOST) for file in files]
    assert min(apart(a or 0, b or 0) for a, b in combinations(hashes, 2)) >= 18
    for image, known in zip(photographs, hashes, strict=True):
        assert known is not None
        width, height = image.size
        inner = (width // 100, height // 100, width - width // 100, height - height // 100)
        assert apart(known, hash_of(image.resize((width // 2, height // 2)))) <= 2
        assert apart(known, hash_of(image, quality=30)) <= 10
        assert apart(known, hash_of(image.crop(inner))) <= 8
