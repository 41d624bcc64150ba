"""Which images DALI's graph gets: by file and preprocessing alone."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import kinds
import numpy as np
import pytest
import simplejpeg
from PIL import Image
from workshop import MAX_PIXELS, make, write

from shards.images import jpeg
from shards.images.jpeg_engines import suits_engines
from vocscore.pipeline import dali_routing
from vocscore.pipeline.dali_routing import MOST_PIXELS, is_for_dali
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 64
PLAIN = Preprocess(size=SIZE)
GOOD = kinds.good()


def jpeg_of(width: int, height: int, **options: object) -> bytes:
    return kinds.encoded(Image.new("RGB", (width, height), "teal"), "JPEG", **options)


def by_pillow(data: bytes) -> bool:
    """What Pillow reads of a file: whether it is baseline, in a usual sampling, in RGB or gray."""
    opened = Image.open(io.BytesIO(data))
    layers = [layer[1:3] for layer in opened.layer]  # type: ignore[attr-defined]
    usual = len(layers) == 1 or (
        layers[0] in [(1, 1), (2, 1), (2, 2), (1, 2)] and layers[1:] == [(1, 1)] * 2
    )
    return usual and "progressive" not in opened.info


@pytest.mark.parametrize("kind", [kind for kind in GOOD if kind.startswith("jpeg")])
def test_what_engines_take_is_what_pillow_calls_baseline(kind: str) -> None:
    """Baseline files in the usual samplings; not progressive ones, and not four colors."""
    assert suits_engines(GOOD[kind]) == by_pillow(GOOD[kind])


@pytest.mark.parametrize(
    ("options", "suited"),
    [
        ({"subsampling": "4:4:4"}, True),
        ({"subsampling": "4:2:2"}, True),
        ({"subsampling": "4:2:0"}, True),
        ({"restart_marker_rows": 1}, True),
        ({"optimize": True}, True),
        ({"progressive": True}, False),
    ],
)
def test_the_samplings_and_scans_that_engines_take(
    options: dict[str, object], suited: bool
) -> None:
    """As nvJPEG's header and nvImageCodec's decoder list them."""
    assert suits_engines(jpeg_of(40, 30, **options)) is suited


def test_a_quarter_of_the_columns_of_color_is_not_for_engines() -> None:
    """4:1:1, which nvJPEG's header names; its other units decode it."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    data = simplejpeg.encode_jpeg(pixels, colorsubsampling="411")
    assert not suits_engines(data)
    assert suits_engines(simplejpeg.encode_jpeg(pixels, colorsubsampling="440"))


def test_one_scan_for_each_color_is_not_for_engines() -> None:
    """A baseline file whose first scan has one of three colors, as `jpegtran -scans` writes."""
    data = jpeg_of(40, 30)
    at = data.index(b"\xff\xda")
    assert data[at + 4] == 3
    alone = bytes([0xFF, 0xDA, 0, 8, 1, data[at + 5], data[at + 6], 0, 63, 0])
    assert not suits_engines(data[:at] + alone + data[at + 14 :])


def test_damaged_headers_are_not_for_engines() -> None:
    """Cut anywhere before the scan, or with a byte changed there, nothing is raised."""
    data = jpeg_of(40, 30)
    at = data.index(b"\xff\xda")
    assert not any(suits_engines(data[:end]) for end in range(at + 4))
    for place in range(2, at + 14):
        suits_engines(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_the_limit_is_where_the_host_decodes_less(fit: str) -> None:
    """At 5.6 pixels for each of the square's, along the shorter or the longer side."""
    preprocess = Preprocess(size=100, fit=fit)
    short = 420 if fit == "pad" else 560
    largest = short - 1, (short - 1) * 4 // 3
    assert jpeg.reduction(*largest, side=100, of_longer=fit == "pad") == 1
    assert is_for_dali(jpeg_of(*largest), preprocess, MAX_PIXELS)
    assert not is_for_dali(jpeg_of(short, short * 4 // 3), preprocess, MAX_PIXELS)


def test_no_image_for_the_graph_has_more_than_most_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor, for its square, than `_MOST_REDUCED`: a panorama that the host decodes in full, too."""
    assert jpeg.reduction(6000, 200, side=SIZE) == 1
    assert not is_for_dali(jpeg_of(6000, 200), PLAIN, MAX_PIXELS)
    panorama = jpeg_of(1200, 200)
    assert is_for_dali(panorama, PLAIN, MAX_PIXELS)
    monkeypatch.setattr(dali_routing, "MOST_PIXELS", 1200 * 200 - 1)
    assert not is_for_dali(panorama, PLAIN, MAX_PIXELS)


def test_an_image_of_most_pixels_may_be_larger_than_a_photograph() -> None:
    """A phone's 12 megapixels are within it, for networks that take large images."""
    photograph = jpeg_of(4000, 3000)
    assert MOST_PIXELS > 4000 * 3000
    assert is_for_dali(photograph, Preprocess(size=640), MAX_PIXELS)
    assert not is_for_dali(photograph, Preprocess(size=256), MAX_PIXELS)


def test_the_choice_does_not_depend_on_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone or beside others, an image is decoded by the same decoder, to the same pixels."""
    files = {
        "baseline": GOOD["jpeg"],
        "progressive": GOOD["jpeg progressive"],
        "large": jpeg_of(400, 400),
        "png": GOOD["png"],
    }
    chosen: dict[bytes, set[bool]] = {}

    def seen(data: bytes, preprocess: Preprocess, max_pixels: int) -> bool:
        graph = is_for_dali(data, preprocess, max_pixels)
        chosen.setdefault(data, set()).add(graph)
        return graph

    monkeypatch.setattr(dali_routing, "is_for_dali", seen)
    refs = write(tmp_path, files)
    pixels = []
    for batch_size in (1, 2, 4):
        with make("dali", PLAIN, batch_size=batch_size) as loader:
            batches = list(loader.batches(refs))
        pixels.append({int(r): i for b in batches for r, i in zip(b.rows, b.images, strict=True)})
    assert chosen == {
        files["baseline"]: {True},
        files["progressive"]: {False},
        files["large"]: {False},
        files["png"]: {False},
    }
    for found in pixels[1:]:
        assert all(found[row].equal(pixels[0][row]) for row in range(len(files)))
