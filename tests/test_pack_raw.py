"""`vocscore pack --raw`: its options, and the use of its shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import webdataset as library
from pack_runs import image, pack, refused

from shards.manifest import read_manifest
from shards.raw_images import RawForm
from shards.reader import load_split
from vocscore.api.loader import loader
from vocscore.api.webdataset import webdataset
from vocscore.errors import PreprocessError
from vocscore.pipeline.preprocess import Preprocess
from vocscore.records.trained_on import encoding_of

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 24
IMAGES = 6


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(IMAGES):
        (folder / "ab"[seed % 2]).mkdir(exist_ok=True)
        (folder / "ab"[seed % 2] / f"{seed}.jpg").write_bytes(image(seed))
    return folder


@pytest.fixture(scope="module")
def shards(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("raw") / "out"
    done = pack(photos, "-o", out, "--resize", SIZE, "--raw", "--fit", "pad", "--quiet")
    assert done.exit_code == 0, done.output
    return out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--raw"], "--raw needs --resize"),
        (["--fit", "pad"], "--fit needs --raw."),
        (["--interpolation", "bicubic"], "--interpolation needs --raw."),
        (["--raw", "--resize", "9", "--crop-fraction", "0.9"], "--crop-fraction needs --fit crop."),
        (["--raw", "--resize", "9", "--fit", "pad", "--pad-color", "1,2"], "--pad-color is '1,2'"),
        (["--raw", "--resize", "20000"], "--raw: --resize may be at most 16384."),
    ],
)
def test_options_that_do_not_fit_are_refused(
    words: list[str], line: str, photos: Path, tmp_path: Path
) -> None:
    """One line, exit code 2, nothing written."""
    assert line in refused(tmp_path / "out", photos, *words)


def test_the_form_is_recorded_with_its_defaults(photos: Path, shards: Path, tmp_path: Path) -> None:
    """The mean color of ImageNet for 'pad', seven eighths for 'crop'."""
    assert read_manifest(shards).raw == RawForm(SIZE, "pad", "bilinear", 1.0, (124, 116, 104))
    words = ("--resize", SIZE, "--raw", "--fit", "crop", "--interpolation", "bicubic", "--quiet")
    assert pack(photos, "-o", tmp_path / "out", *words).exit_code == 0
    found = read_manifest(tmp_path / "out")
    assert found.raw == RawForm(SIZE, "crop", "bicubic", 0.875, (0, 0, 0))
    assert encoding_of(found) != encoding_of(read_manifest(shards))


def test_another_form_is_another_set(photos: Path, shards: Path) -> None:
    """Packing again with the same options changes nothing; with others, the form is named."""
    words = ("-o", shards, "--resize", SIZE, "--raw", "--fit")
    assert pack(photos, *words, "pad", "--quiet").exit_code == 0
    done = pack(photos, *words, "squash")
    assert done.exit_code == 2
    assert "packed with raw" in done.stderr


def test_the_loader_takes_the_form_of_the_shards(shards: Path) -> None:
    """Also without a size; another size or fit is refused in one line."""
    with loader(shards, batch_size=IMAGES, workers=1, device="cpu") as batches:
        (batch,) = batches
    stored = [ref for name in ("train", "val") for ref in load_split(shards, name).images]
    assert batch.images.shape == (len(stored), 3, SIZE, SIZE)
    with pytest.raises(PreprocessError, match="raw shards of 24 x 24 pixels, pad"):
        loader(shards, size=SIZE + 1)
    with pytest.raises(PreprocessError, match="but 24 x 24 pixels, squash"):
        loader(shards, preprocess=Preprocess(size=SIZE))


def test_webdataset_gives_the_stored_pixels(shards: Path) -> None:
    """Through `vocscore.webdataset`, and with the library's own decoders alone."""
    ours = [sample["image"] for sample in webdataset(shards, split="train", image="numpy")]
    tars = sorted(map(str, shards.glob("train-*.tar")))
    theirs = library.WebDataset(tars, shardshuffle=False).decode()
    for mine, sample in zip(ours, theirs, strict=True):
        assert np.array_equal(mine, sample["npy"])
        assert sample["labels.npy"].dtype == np.int8
    with pytest.raises(PreprocessError):
        webdataset(shards, size=SIZE + 1)
