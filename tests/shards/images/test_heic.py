"""HEIC is decoded by pillow-heif, where it is installed: upright once, and only when whole."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from encoded import MANY, decoded, drawn, encoded, refused
from PIL import Image, ImageOps

from shards.errors import BadImage
from shards.images import heif, image_file, isobmff

IMAGE = drawn(129, 50)
needs_heif = pytest.mark.skipif(
    find_spec("pillow_heif") is None,
    reason="pillow-heif is not installed",
)


def _heic(
    image: Image.Image,
    *,
    orientation: int = 1,
    tile_size: int | None = None,
    bit_depth: int = 8,
    others: int = 0,
) -> bytes:
    """An image as stored, without loss, with an orientation that the container has."""
    library = import_module("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = library.HeifFile()
    mode, data = image.mode, image.tobytes()
    if bit_depth > 8:
        mode = {"RGB": "RGB;16", "L": "L;16"}[mode]
        data = (np.frombuffer(data, np.uint8).astype("<u2") * 257).tobytes()
        library.options.SAVE_HDR_TO_12_BIT = bit_depth == 12
    try:
        file.add_frombytes(mode, image.size, data)
        for _ in range(others):
            file.add_frombytes("RGB", (64, 64), bytes(64 * 64 * 3))
        out = io.BytesIO()
        exif_bytes = exif.tobytes() if orientation > 1 else None
        options = {"tile_size": tile_size} if tile_size else {}
        file.save(out, quality=-1, chroma=444, exif=exif_bytes, primary_index=0, **options)
    finally:
        library.options.SAVE_HDR_TO_12_BIT = False
    return out.getvalue()


def _far(pixels: np.ndarray, image: Image.Image) -> int:
    assert pixels.shape[:2] == image.size[::-1]
    return int(np.abs(pixels.astype(int) - np.asarray(image.convert("RGB")).astype(int)).max())


@needs_heif
@pytest.mark.parametrize("tile_size", [None, 64])
@pytest.mark.parametrize("value", range(1, 9))
def test_upright_once(value: int, tile_size: int | None) -> None:
    """The container's rotation and mirroring are applied where upright is asked for, else not.

    Its EXIF, which says the same again, does not turn the image a second time.
    """
    data = _heic(IMAGE, orientation=value, tile_size=tile_size)
    turned = IMAGE.copy()
    turned.getexif()[0x0112] = value
    assert _far(decoded(data), ImageOps.exif_transpose(turned)) <= 2
    assert _far(decoded(data, upright=False), IMAGE) <= 2
    assert image_file.probe(data) == image_file.Header("HEIC", 129, 50)
    assert image_file.check(data, max_pixels=129 * 50, whole=True).format == "HEIC"


@needs_heif
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_every_mode(mode: str) -> None:
    """Color and gray, with alpha, which is dropped, or without."""
    assert _far(decoded(_heic(IMAGE.convert(mode))), IMAGE.convert(mode).convert("RGB")) <= 2


@needs_heif
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("bit_depth", [10, 12])
def test_more_bits_become_eight(bit_depth: int, mode: str) -> None:
    """10 and 12 bits a sample, in color and in gray, are scaled and not cut off."""
    image = IMAGE.convert(mode)
    data = _heic(image, bit_depth=bit_depth)
    file = import_module("pillow_heif").open_heif(data)
    assert file.info["bit_depth"] == bit_depth
    assert _far(decoded(data), image) <= 3


@needs_heif
def test_the_primary_image_is_the_one() -> None:
    """Of several images in a file the one is decoded that the file says it shows."""
    assert _far(decoded(_heic(IMAGE, others=3)), IMAGE) <= 2


@needs_heif
@pytest.mark.parametrize("tile_size", [None, 64])
def test_a_cut_file_is_truncated(tile_size: int | None) -> None:
    """Wherever it ends: libheif would fill the tiles that are missing with gray."""
    whole = _heic(IMAGE, tile_size=tile_size)
    if tile_size:
        import_module("pillow_heif").open_heif(whole[:-2000]).to_pillow()
    for end in (*range(40, len(whole) - 1, 997), len(whole) - 1):
        assert str(refused(whole[:end]).reason) == "truncated", end


@needs_heif
def test_too_large_is_said_before_decoding() -> None:
    """By what the image, or a tile of it, says of its size."""
    whole = _heic(IMAGE)
    assert str(refused(whole, 129 * 50 - 1)).startswith("too_large: 129 x 50 is more than 6449")
    for data in (whole, _heic(IMAGE, tile_size=64)):
        at = data.index(b"ispe") + 8
        huge = data[:at] + (40_000).to_bytes(4, "big") * 2 + data[at + 8 :]
        assert str(refused(huge)).startswith("too_large: ")


@needs_heif
def test_another_image_is_not_passed_off() -> None:
    """Where the primary image cannot be read, no other one of the file takes its place."""
    whole = _heic(IMAGE, others=1)
    at = whole.index(b"pitm") + 8
    lost = whole[:at] + b"\x7f\x7f" + whole[at + 2 :]
    assert str(refused(lost).reason) == "corrupt"


@needs_heif
def test_mutations_end_in_a_verdict() -> None:
    """Whatever happens to the bytes, the outcome is pixels or a reason."""
    random = np.random.default_rng(4)
    small = _heic(drawn(40, 30))
    for number in range(300):
        damaged = bytearray(small)
        for _ in range(random.integers(1, 6)):
            damaged[random.integers(len(small) if number % 2 else 500)] = random.integers(256)
        try:
            assert decoded(bytes(damaged)).dtype == np.uint8
        except BadImage:
            continue


@needs_heif
def test_threads_may_decode_at_once() -> None:
    """Eight threads get the pixels that one gets."""
    data = _heic(IMAGE, tile_size=64)
    expected = decoded(data)
    with ThreadPoolExecutor(8) as pool:
        for pixels in pool.map(decoded, [data] * 40):
            np.testing.assert_array_equal(pixels, expected)


@needs_heif
def test_it_is_loaded_late_and_changes_nothing_else() -> None:
    """Neither other formats nor Pillow's list of formats meet pillow-heif, before or after."""
    code = f"""
import io, sys
from PIL import Image
from shards.images import image_file
image_file.decode({encoded(drawn(), "JPEG")!r}, max_pixels=10**6)
assert "pillow_heif" not in sys.modules
Image.init()
before = sorted(Image.OPEN), sorted(Image.EXTENSION)
image_file.decode({_heic(drawn(32, 32))!r}, max_pixels=10**6)
assert "pillow_heif" in sys.modules
assert before == (sorted(Image.OPEN), sorted(Image.EXTENSION))
"""
    done = subprocess.run([sys.executable, "-"], input=code, text=True, timeout=60, check=False)
    assert done.returncode == 0


def test_without_the_library_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """HEIC without pillow-heif is unsupported, with the command that installs it."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    heif.library.cache_clear()
    monkeypatch.setattr(heif, "import_module", missing)
    for brand in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        data = b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(100)
        assert str(refused(data)) == (
            "unsupported: HEIC, and pillow-heif is not installed. Run: pip install 'vocscore[heif]'"
        )


def test_avif_under_a_general_brand_is_avif() -> None:
    """'mif1' is any image: the brands behind it, and not the first one, say which."""
    data = encoded(drawn(), "AVIF")
    assert data[8:12] == b"avif"
    other = data[:8] + b"mif1" + data[12:]
    assert b"avif" in other[16:40]
    np.testing.assert_array_equal(decoded(other), decoded(data))
    assert isobmff.still(other) is not None
    assert image_file.check(other, max_pixels=MANY, whole=True).format == "AVIF"
