"""Baseline JPEGs at 1/8 in C: libjpeg-turbo's pixels, or left to it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import fuzz
import numpy as np
import pytest
import simplejpeg
from encoded import MANY, drawn, encoded

from shards.errors import BadImage
from shards.images import baseline, image_file, jpeg

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    baseline._native is None, reason="the extension was not built: pip install -e . with gcc"
)


def _both(data: bytes) -> tuple[np.ndarray | None, np.ndarray]:
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    truth = simplejpeg.decode_jpeg(
        data, min_height=-(-height // 8), min_width=-(-width // 8), strict=True
    )
    return baseline.decode_eighth(data, width=width, height=height), truth


@pytest.mark.parametrize("restarts", [{}, {"restart_marker_blocks": 5}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "gray"])
@pytest.mark.parametrize("quality", [3, 60, 90, 100])
def test_the_pixels_are_libjpegs(quality: int, subsampling: str, restarts: dict[str, int]) -> None:
    """Standard and optimized tables; sizes that do not fill their last blocks."""
    for width, height in [(200, 136), (61, 47), (9, 300), (1, 1), (16, 16)]:
        for optimize in (False, True):
            image, options = drawn(width, height), {"optimize": optimize, **restarts}
            if subsampling == "gray":
                image = image.convert("L")
            else:
                options["subsampling"] = subsampling
            found, truth = _both(encoded(image, "JPEG", quality=quality, **options))
            assert found is not None
            np.testing.assert_array_equal(found, truth)


@pytest.mark.parametrize("subsampling", ["420", "440", "411", "422", "444"])
def test_noise_in_all_samplings(subsampling: str) -> None:
    """Full contrast, where samples are limited to 0 and 255."""
    noise = np.random.default_rng(5).integers(0, 2, (120, 90, 3), dtype=np.uint8) * 255
    data = simplejpeg.encode_jpeg(noise, quality=95, colorsubsampling=subsampling)
    found, truth = _both(data)
    assert found is not None
    np.testing.assert_array_equal(found, truth)


def test_other_files_are_left_alone() -> None:
    """Progressive and cut ones, a wrong marker, bytes of another format."""
    whole = encoded(drawn(), "JPEG")
    assert baseline.decode_eighth(whole, width=61, height=47) is not None
    others = [
        encoded(drawn(), "JPEG", progressive=True),
        *(whole[:length] for length in range(len(whole))),
        whole[:-1] + b"\xd8",
        whole[:-2] + b"\0" + whole[-2:],
        encoded(drawn(), "PNG"),
    ]
    assert all(baseline.decode_eighth(other, width=61, height=47) is None for other in others)
    assert baseline.decode_eighth(whole, width=69, height=47) is None


@pytest.mark.parametrize("transform", [0, 1, 2, 3])
@pytest.mark.parametrize("first", [True, False])
def test_color_transforms_by_adobe(
    transform: int, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning: a transform that three components do not have, unless JFIF comes first."""
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
    whole = encoded(drawn(), "JPEG")
    after_jfif = 2 if first else 20
    data = whole[:after_jfif] + adobe + whole[20 if first else after_jfif :]
    with_it = _verdict(data)
    monkeypatch.setattr(baseline, "_native", None)
    assert with_it == _verdict(data)
    assert with_it.startswith("corrupt") == (first and transform > 1)


def test_a_header_that_promises_too_much() -> None:
    """No memory is taken for blocks that the file cannot hold."""
    whole = encoded(drawn(), "JPEG")
    at = whole.index(b"\xff\xc0") + 5
    huge = whole[:at] + struct.pack(">HH", 65000, 65000) + whole[at + 4 :]
    assert baseline.decode_eighth(huge, width=65000, height=65000) is None


def test_damage_has_libjpegs_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the extension the verdicts are the same, to the letter."""
    whole = encoded(drawn(61, 47), "JPEG", quality=90)
    random = np.random.default_rng(8)
    files = [fuzz.damaged(random, whole) for _ in range(300)]
    with_it = [_verdict(data) for data in files]
    monkeypatch.setattr(baseline, "_native", None)
    assert with_it == [_verdict(data) for data in files]
    assert len({verdict.split(":")[0] for verdict in with_it}) >= 3


def _verdict(data: bytes) -> str:
    try:
        found = image_file.decode_to_resize(data, 4, max_pixels=MANY)
    except BadImage as bad:
        return str(bad)
    return str(found.pixels.sum())


def test_large_images_are_decoded_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`decode_to_resize` comes here at 1/8; other inks never do."""
    sizes = []
    native = baseline.decode_eighth

    def seen(data: bytes, *, width: int, height: int) -> np.ndarray | None:
        sizes.append((width, height))
        return native(data, width=width, height=height)

    monkeypatch.setattr(jpeg.baseline, "decode_eighth", seen)
    for image in (drawn(800, 600), drawn(800, 600).convert("CMYK")):
        image_file.decode_to_resize(encoded(image, "JPEG"), 32, max_pixels=MANY)
    image_file.decode_to_resize(
        encoded(drawn(800, 600), "JPEG", keep_rgb=True), 32, max_pixels=MANY
    )
    assert sizes == [(800, 600)]


def test_damaged_files() -> None:
    """20,000 of those of `make fuzz`: what is accepted is what libjpeg-turbo accepts."""
    counts = fuzz.run(20_000, seed=1)
    assert counts.accepted > 2000
    assert counts.refused > 10_000


def test_real_files(voc_data: Path) -> None:
    """Photographs and odd files: the pixels of libjpeg-turbo, or none."""
    files = [file for file in sorted(voc_data.rglob("*.jp*g")) if file.is_file()]
    decoded = 0
    for file in files:
        counts = fuzz.Counts()
        fuzz.compare(file.read_bytes(), counts)
        decoded += counts.accepted
    assert decoded >= 100
