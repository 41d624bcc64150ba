"""Shards of images that were resized when they were packed: the same pixels, at a lower price."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kinds import encoded, photo, with_orientation
from PIL import Image, ImageOps
from workshop import by_row, make

from shards.images.image_file import read_bytes
from shards.packing.pack import pack
from shards.reader import load_split
from shards.sample import AnnotatedSet, Sample
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import ImageRef

SIZE = 64
IMAGES = {
    "0.jpg": encoded(photo(), "JPEG", quality=95),
    "1.jpg": encoded(photo(), "JPEG", quality=95, exif=with_orientation(6)),
    "2.jpg": encoded(photo().convert("L"), "JPEG", quality=95),
    "3.jpg": encoded(photo().convert("CMYK"), "JPEG", quality=95),
    "4.png": encoded(photo(), "PNG"),
    "5.jpg": encoded(photo(1500, 1100), "JPEG", quality=95, exif=with_orientation(5)),
}
TURNED = {"1.jpg", "5.jpg"}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The images, and the set that they were packed into."""
    root = tmp_path_factory.mktemp("resized")
    (root / "in").mkdir()
    for name, data in IMAGES.items():
        (root / "in" / name).write_bytes(data)
    samples = tuple(Sample(name, ("cat", "dog")[i % 2 :]) for i, name in enumerate(IMAGES))
    pack(
        AnnotatedSet(root / "in", samples),
        {"train": samples},
        root / "out",
        classes=("cat", "dog"),
        shard_samples=100,
        verify=True,
        max_bad=0,
        max_pixels=10_000_000,
        resize=SIZE,
        quality=95,
        workers=2,
        overwrite=False,
        settings={},
    )
    return root / "in", root / "out"


def stored(out: Path) -> dict[str, ImageRef]:
    """The packed images, by the path of the original."""
    return {ref.name: ref for ref in load_split(out, "train").images}


def test_they_are_upright_squares_near_the_original(packed: tuple[Path, Path]) -> None:
    """Turned once, by PIL's account too; gray, inks and PNG become RGB; JPEG costs some levels."""
    source, out = packed
    for name, ref in stored(out).items():
        with Image.open(io.BytesIO(read_bytes(ref, max_pixels=10**8))) as small:
            assert (small.format, small.mode, small.size) == ("JPEG", "RGB", (SIZE, SIZE)), name
            assert not small.getexif(), name
            pixels = np.asarray(small).astype(int)
        upright = ImageOps.exif_transpose(Image.open(source / name)).convert("RGB")
        square = np.asarray(upright.resize((SIZE, SIZE), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(pixels - square).mean() < 5, name


def test_labels_and_the_original_size_are_kept(packed: tuple[Path, Path]) -> None:
    """Labels are those of the set; the description says how large the file's image was."""
    _, out = packed
    assert load_split(out, "train").labels.tolist() == [[1, 1], [0, 1]] * 3
    tar = (out / "train-000000.tar").read_bytes()
    for name, ref in stored(out).items():
        at = tar.index(b'{"difficult"', ref.offset + ref.size)
        value = json.JSONDecoder().raw_decode(tar[at : at + 1000].decode("ascii", "replace"))[0]
        with Image.open(io.BytesIO(IMAGES[name])) as original:
            size = {"width": original.width, "height": original.height}
        assert (value["path"], value["original"]) == (name, size)
        assert (value["width"], value["height"]) == (SIZE, SIZE)


def test_preprocessing_leaves_them_as_they_are(packed: tuple[Path, Path]) -> None:
    """At the size that they were packed for, the host loader delivers the decoded pixels."""
    refs = list(stored(packed[1]).values())
    with make("host", Preprocess(size=SIZE)) as loader:
        rows = by_row(loader.batches(refs))
    for row, ref in enumerate(refs):
        with Image.open(io.BytesIO(read_bytes(ref, max_pixels=10**8))) as small:
            assert np.array_equal(rows[row].transpose(1, 2, 0), np.asarray(small)), ref.name
