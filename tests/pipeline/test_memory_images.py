"""Images that are in memory: file bytes and pixels, through every loader."""

from __future__ import annotations

import io
from dataclasses import replace

import kinds
import numpy as np
import pytest
from PIL import Image
from tolerances import assert_close, tolerance
from workshop import by_row, make

from shards.errors import BadImage
from shards.images import image_file
from shards.images.pillow import pixels_of
from shards.sample import ImageRef
from vocscore.pipeline.preprocess import Preprocess

GOOD = kinds.good()
LOADERS = ("host", "dali", "reference")


@pytest.fixture(scope="module")
def from_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    refs = []
    for number, (name, data) in enumerate(GOOD.items()):
        (folder / str(number)).write_bytes(data)
        refs.append(ImageRef(name, str(folder / str(number))))
    return refs


@pytest.mark.parametrize("name", LOADERS)
def test_bytes_in_memory_are_what_their_file_is(from_files, name):
    """Of every kind, to the last pixel; nothing is opened."""
    in_memory = [replace(ref, file="", data=GOOD[ref.name]) for ref in from_files]
    with make(name, Preprocess(size=64)) as loader:
        expected, got = by_row(loader.batches(from_files)), by_row(loader.batches(in_memory))
    assert sorted(got) == list(range(len(GOOD)))
    for row, pixels in expected.items():
        np.testing.assert_array_equal(got[row], pixels)


@pytest.mark.parametrize("size", [64, 300])
@pytest.mark.parametrize("name", LOADERS)
def test_pixels_in_memory_are_resized_like_those_of_a_file(name, size):
    """Within the table of tolerances of what Pillow makes of them."""
    photo = kinds.photo()
    ref = ImageRef("array", "", pixels=np.array(photo))
    with make(name, Preprocess(size=size)) as loader:
        (got,) = by_row(loader.batches([ref])).values()
    truth = np.asarray(photo.resize((size, size), Image.Resampling.BILINEAR))
    allowed = tolerance("host", "array")
    assert_close(got, truth.transpose(2, 0, 1), allowed=allowed, name=name)


@pytest.mark.parametrize("name", LOADERS)
def test_too_many_bytes_or_pixels_in_memory_are_refused(name):
    """By the same limits as files."""
    pixels = np.zeros((9000, 9000, 3), np.uint8)
    refs = [ImageRef("pixels", "", pixels=pixels), ImageRef("none", "", data=b"")]
    with make(name, Preprocess(size=64)) as loader:
        (batch,) = loader.batches(refs)
    assert [failure.fault.reason for failure in batch.failures] == ["too_large", "empty"]


def _pillow_opens(name):
    """Not TIFF, which Pillow reads otherwise, nor HEIC, nor a PNG whose metadata it refuses."""
    return not name.startswith(("tiff", "heic", "png, "))


@pytest.mark.parametrize("name", filter(_pillow_opens, GOOD))
def test_pil_images_have_the_pixels_of_their_files(name):
    """Of every kind that Pillow opens by itself: upright, 8 bits, RGB."""
    image = Image.open(io.BytesIO(GOOD[name]))
    got = pixels_of(image, upright=True, max_pixels=10**7)
    np.testing.assert_array_equal(got, image_file.decode(GOOD[name], max_pixels=10**7))
    with pytest.raises(BadImage, match="too_large"):
        pixels_of(image, upright=True, max_pixels=0)
