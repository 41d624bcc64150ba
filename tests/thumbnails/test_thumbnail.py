"""Thumbnails are what PIL makes of the same file; scoring's verdict on bad images is theirs."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from drawn_images import MANY, difference, drawn, encoded, opened, turned, upright
from PIL import Image, ImageOps

from shards.errors import BadImage, Fault, Reason
from shards.images import image_file
from vocscore.thumbnails.thumbnail import preview, thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLOSE = 4.0
"""Levels of 255, on average: the thumbnail is a JPEG with chroma at half resolution, and large
JPEGs are decoded smaller. `test_the_bound_tells_orientations_apart` has the opposite."""
CLOSE_PHOTOGRAPH = 7.0
"""The same for photographs, which are sharp to the pixel at 96 pixels: JPEG loses more of them."""


def verdict(data: bytes, max_pixels: int = MANY) -> Fault:
    """Scoring's, of a file that it refuses."""
    with pytest.raises(BadImage) as caught:
        image_file.decode(data, max_pixels=max_pixels)
    return caught.value.fault


@pytest.mark.parametrize(
    ("width", "height"),
    [(310, 170), (170, 310), (96, 96), (97, 96), (2000, 1500), (3000, 20), (1, 900), (97, 1)],
)
def test_it_fits_the_square(width: int, height: int) -> None:
    """The longer side is that of the square, and the other keeps the shape, to a pixel."""
    made = opened(thumbnail(encoded(drawn(width, height)), 96, max_pixels=MANY))
    assert made.format == "JPEG"
    assert max(made.size) == 96
    scale = 96 / max(width, height)
    for got, stored in zip(made.size, (width, height), strict=True):
        assert abs(got - max(1, stored * scale)) <= 0.5 + 1e-9


@pytest.mark.parametrize("size", [(1, 1), (61, 47), (96, 12), (96, 96)])
def test_small_images_are_not_enlarged(size: tuple[int, int]) -> None:
    """An image that fits keeps its size."""
    for form in ("JPEG", "PNG"):
        made = thumbnail(encoded(drawn(*size), form), 96, max_pixels=MANY)
        assert opened(made).size == size


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(310, 170), (1800, 1300), (60, 41)], ids=str)
def test_it_is_upright(size: tuple[int, int], orientation: int) -> None:
    """All eight orientations, of images that are decoded in full, reduced, and not resized."""
    data = encoded(drawn(*size), exif=turned(orientation), quality=95)
    made = thumbnail(data, 96, max_pixels=MANY)
    wide, high = upright(data).size
    assert (opened(made).width > opened(made).height) == (wide > high)
    assert difference(made, data) < CLOSE
    assert opened(made).getexif().get(0x0112, 1) == 1  # a browser must not turn it again


def test_the_bound_tells_orientations_apart() -> None:
    """A thumbnail that is turned another way is far outside the bound."""
    data = encoded(drawn(), quality=95)
    for wrong in (2, 3, 4):
        made = thumbnail(encoded(drawn(), exif=turned(wrong)), 96, max_pixels=MANY)
        assert difference(made, data) > 5 * CLOSE


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_other_formats_are_upright(form: str, orientation: int) -> None:
    """EXIF of formats other than JPEG counts as well."""
    data = encoded(drawn(), form, exif=turned(orientation))
    assert difference(thumbnail(data, 96, max_pixels=MANY), data) < CLOSE


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "I;16"])
def test_other_colors_become_rgb(mode: str) -> None:
    """Gray, palettes, inks, transparency and 16 bits give the colors that scoring sees."""
    if mode == "I;16":
        gray = np.asarray(drawn().convert("L"), np.uint16) * 257
        data = encoded(Image.fromarray(gray), "PNG")
    else:
        form = {"CMYK": "JPEG"}.get(mode, "PNG")
        data = encoded(drawn().convert(mode), form)
    made = opened(thumbnail(data, 96, max_pixels=MANY))
    whole = Image.fromarray(image_file.decode(data, max_pixels=MANY))
    want = np.asarray(whole.resize(made.size, Image.Resampling.BILINEAR), np.float64)
    assert made.mode == "RGB"
    assert np.abs(np.asarray(made, np.float64) - want).mean() < CLOSE


def test_real_photographs(voc_data: Path) -> None:
    """The first photographs of VOC, at both sides that the page uses."""
    for file in sorted((voc_data / "voc2012-100" / "JPEGImages").glob("*.jpg"))[:6]:
        data = file.read_bytes()
        for side in (96, 384):
            made = thumbnail(data, side, max_pixels=MANY)
            assert max(opened(made).size) == min(side, max(opened(data).size))
            assert difference(made, data) < CLOSE_PHOTOGRAPH
            mirrored = encoded(ImageOps.mirror(opened(data)))
            assert difference(made, mirrored) > 2 * CLOSE_PHOTOGRAPH


def test_odd_files(odd: Path) -> None:
    """Every unusual file gives a thumbnail, or is refused with scoring's fault."""
    refused = 0
    files = sorted(path for path in odd.rglob("*") if path.is_file())
    for file in files:
        data = file.read_bytes()
        whole, fault = _scored(data)
        made, told = _thumbnail(data)
        assert told == fault, file.name
        if whole is None or made is None:
            refused += 1
            continue
        assert max(made.size) == min(64, max(whole.size)), file.name
        want = np.asarray(whole.resize(made.size, Image.Resampling.BILINEAR), np.float64)
        assert np.abs(np.asarray(made, np.float64) - want).mean() < CLOSE_PHOTOGRAPH, file.name
    assert 3 < refused < len(files) - 10


def _scored(data: bytes) -> tuple[Image.Image | None, Fault | None]:
    try:
        return Image.fromarray(image_file.decode(data, max_pixels=10**7)), None
    except BadImage as bad:
        return None, bad.fault


def _thumbnail(data: bytes) -> tuple[Image.Image | None, Fault | None]:
    try:
        return opened(thumbnail(data, 64, max_pixels=10**7)), None
    except BadImage as bad:
        return None, bad.fault


def _damaged() -> dict[str, bytes]:
    jpeg, png = encoded(drawn(), quality=95), encoded(drawn(), "PNG")
    middle = len(jpeg) // 2
    return {
        "no bytes": b"",
        "text": b"not an image at all",
        "only a signature": b"\xff\xd8\xff",
        "half a JPEG": jpeg[:middle],
        "JPEG without its end": jpeg[:-2],
        "overwritten JPEG": jpeg[:middle] + b"\xff\x00\xff\xd9" * 8 + jpeg[middle + 32 :],
        "half a PNG": png[: len(png) // 2],
        "PNG with a wrong checksum": png[:-20] + b"\0\0\0\0" + png[-16:],
        "half a GIF": encoded(drawn(), "GIF")[:900],
        "HTML": b"<html><script>alert(1)</script></html>",
        "drawing": b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>',
    }


@pytest.mark.parametrize("name", list(_damaged()))
def test_bad_images_are_refused_as_by_scoring(name: str) -> None:
    """The same reason and the same detail."""
    data = _damaged()[name]
    want = verdict(data)
    with pytest.raises(BadImage) as caught:
        thumbnail(data, 96, max_pixels=MANY)
    assert caught.value.fault == want


def _huge_png() -> bytes:
    """A header that claims 1e10 pixels."""
    body = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in ((b"IHDR", body), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        parts.append(struct.pack(">I", len(content)) + kind + content + checksum)
    return b"".join(parts)


@pytest.mark.parametrize("make", [thumbnail, preview])
def test_sizes_are_bounded_before_decoding(make: Callable[..., bytes]) -> None:
    """More pixels than the limit are refused by the header, damaged or not."""
    whole = encoded(drawn())
    for data in (whole, whole[: len(whole) // 2], encoded(drawn(), "PNG"), _huge_png()):
        with pytest.raises(BadImage) as caught:
            make(data, 96, max_pixels=310 * 170 - 1)
        assert caught.value.fault.reason is Reason.TOO_LARGE
    assert opened(thumbnail(whole, 96, max_pixels=310 * 170)).width == 96


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("size", [(310, 170), (1800, 1300), (60, 41)], ids=str)
def test_a_preview_shows_what_is_left_of_a_jpeg(size: tuple[int, int], orientation: int) -> None:
    """The rows that are there are the image's, upright; the others are gray."""
    whole = encoded(drawn(*size), exif=turned(orientation), quality=95)
    head = whole.index(b"\xff\xda")
    half = whole[: head + (len(whole) - head) // 2]
    assert verdict(half).reason is Reason.TRUNCATED
    made = opened(preview(half, 96, max_pixels=MANY))
    want = upright(whole).resize(made.size, Image.Resampling.BILINEAR)
    there, lost = _PARTS[orientation]
    away = np.asarray(made, np.float64) - np.asarray(want, np.float64)
    assert np.abs(there(away)).mean() < CLOSE
    assert np.abs(lost(np.asarray(made, np.float64)) - 128).mean() < 8


_PARTS: dict[int, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    1: (lambda p: p[: len(p) * 3 // 10], lambda p: p[-1]),
    3: (lambda p: p[-(len(p) * 3 // 10) :], lambda p: p[0]),
    6: (lambda p: p[:, -(p.shape[1] * 3 // 10) :], lambda p: p[:, 0]),
}
"""Orientation -> where the first and the last rows of the file are in the upright image."""


def test_a_preview_of_an_intact_image_is_its_thumbnail() -> None:
    """A row that failed when it was scored may be fine today."""
    for data in (encoded(drawn()), encoded(drawn(), "PNG"), encoded(drawn().convert("CMYK"))):
        assert preview(data, 96, max_pixels=MANY) == thumbnail(data, 96, max_pixels=MANY)


@pytest.mark.parametrize(
    "name", ["no bytes", "text", "only a signature", "half a PNG", "half a GIF", "HTML", "drawing"]
)
def test_without_a_preview_the_fault_is_scorings(name: str) -> None:
    """What shows nothing is refused for the reason that scoring gives."""
    data = _damaged()[name]
    with pytest.raises(BadImage) as caught:
        preview(data, 96, max_pixels=MANY)
    assert caught.value.fault == verdict(data)


@pytest.mark.parametrize("name", ["drawn", "Adobe's"])
def test_a_preview_of_inks_has_the_right_colors(name: str, request: pytest.FixtureRequest) -> None:
    """A CMYK JPEG that is cut short: the upper rows, inverted inks or not."""
    if name == "drawn":
        data = encoded(drawn().convert("CMYK"))
    else:
        data = (request.getfixturevalue("odd") / "pillow" / "pil_sample_cmyk.jpg").read_bytes()
    half = data[: len(data) * 2 // 3]
    assert verdict(half).reason is Reason.TRUNCATED
    made = opened(preview(half, 96, max_pixels=MANY))
    want = np.asarray(upright(data).resize(made.size, Image.Resampling.BILINEAR), np.float64)
    rows = made.height // 8
    assert np.abs(np.asarray(made, np.float64)[:rows] - want[:rows]).mean() < CLOSE


def test_every_cut_of_a_jpeg_is_a_preview_or_a_fault() -> None:
    """No length of a truncated file, and no flipped byte, raises anything else."""
    whole = encoded(drawn(90, 60))
    rng = np.random.default_rng(5)
    kinds = {True: 0, False: 0}
    for cut in range(0, len(whole), 23):
        kinds[_answers(whole[:cut])] += 1
    for at in rng.integers(2, len(whole), 120):
        flipped = bytearray(whole)
        flipped[at] ^= int(rng.integers(1, 256))
        kinds[_answers(bytes(flipped))] += 1
    assert min(kinds.values()) > 5


def _answers(data: bytes) -> bool:
    """Whether there is a preview; else there is a fault."""
    try:
        made = preview(data, 64, max_pixels=10**6)
    except BadImage:
        return False
    assert max(opened(made).size) <= 64
    return True
