"""Raw shards: what the host loader makes of the originals, to the bit, with every loader."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from raw_sets import GOOD, IMAGES, pack_raw, pack_whole, written
from workshop import FITTED, by_row, make

from shards.errors import DamageError
from shards.images import image_file
from shards.manifest import read_manifest
from shards.reader import load_split
from shards.tar.images import list_tar
from shards.verify import verify
from vocscore.config.training import AugmentationConfig
from vocscore.errors import PreprocessError
from vocscore.pipeline.augment import Views
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet, ImageRef

SQUASHED = Preprocess(size=64)
LOADERS = ("host", "dali", "reference")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> AnnotatedSet:
    return written(tmp_path_factory.mktemp("raw") / "in")


@pytest.fixture(scope="module")
def originals(images: AnnotatedSet) -> tuple[ImageRef, ...]:
    return load_split(pack_whole(images, images.root.parent / "whole"), "train").images


@pytest.fixture(scope="module")
def packed(images: AnnotatedSet) -> Path:
    return pack_raw(images, images.root.parent / "raw", SQUASHED)


@pytest.fixture(scope="module")
def raw(packed: Path) -> tuple[ImageRef, ...]:
    return load_split(packed, "train").images


def decoded(
    name: str,
    refs: Sequence[ImageRef],
    preprocess: Preprocess = SQUASHED,
    *,
    views: Views | None = None,
) -> dict[int, np.ndarray]:
    with make(name, preprocess) as loader:
        return by_row(loader.batches(refs, views=views))


def assert_equal(found: dict[int, np.ndarray], expected: dict[int, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for row, pixels in expected.items():
        assert np.array_equal(found[row], pixels), f"row {row}"


@pytest.mark.parametrize("name", LOADERS)
def test_every_loader_gives_the_pixels_that_the_host_makes_of_the_originals(
    name: str, raw: tuple[ImageRef, ...], originals: tuple[ImageRef, ...]
) -> None:
    """To the bit: JPEGs turned, gray, CMYK, reduced, and other formats."""
    assert len(raw) == GOOD
    assert_equal(decoded(name, raw), decoded("host", originals))


@pytest.mark.parametrize("fit", FITTED)
def test_every_fit_and_interpolation_is_stored_as_the_host_makes_it(
    fit: str, images: AnnotatedSet, originals: tuple[ImageRef, ...], tmp_path: Path
) -> None:
    """A center crop is not taken again from the stored square."""
    packed = pack_raw(images, tmp_path / "out", FITTED[fit])
    refs = load_split(packed, "train").images
    expected = decoded("host", originals, FITTED[fit])
    for name in LOADERS:
        assert_equal(decoded(name, refs, FITTED[fit]), expected)


def test_the_images_are_arrays_that_numpy_reads(
    packed: Path, originals: tuple[ImageRef, ...]
) -> None:
    """Read with tarfile and `np.load`; equal to what `np.save` writes; described in the JSON."""
    expected = decoded("host", originals)
    with tarfile.open(packed / "train-000000.tar") as tar:
        for row in range(GOOD):
            key = f"train-{row:08d}"
            data = tar.extractfile(f"{key}.npy").read()  # type: ignore[union-attr]
            pixels = np.load(io.BytesIO(data))
            assert (pixels.dtype, pixels.shape) == (np.uint8, (64, 64, 3))
            assert np.array_equal(pixels.transpose(2, 0, 1), expected[row])
            saved = io.BytesIO()
            np.save(saved, pixels)
            assert saved.getvalue() == data
            told = json.load(tar.extractfile(f"{key}.json"))  # type: ignore[arg-type]
            assert (told["width"], told["height"]) == (64, 64)
            head = image_file.probe(IMAGES[told["path"]])
            assert told["original"] == {"width": head.width, "height": head.height}


def test_bytes_do_not_depend_on_threads_and_bad_images_are_left_out(
    images: AnnotatedSet, packed: Path, tmp_path: Path
) -> None:
    """One thread and two write the same files; the list of rejected images names the bad one."""
    one = pack_raw(images, tmp_path / "one", SQUASHED, workers=1)
    for name in ("train-000000.tar", "train-000000.idx", "dataset.json", "rejected.csv"):
        assert (one / name).read_bytes() == (packed / name).read_bytes()
    assert "9.jpg,unsupported" in (packed / "rejected.csv").read_text()


def test_the_manifest_has_another_version_that_old_readers_refuse(packed: Path) -> None:
    """And it names the form; without it, or with an impossible one, the set is damaged."""
    told = json.loads((packed / "dataset.json").read_text())
    assert told["version"] == 2
    assert told["config"]["raw"]["size"] == 64
    assert read_manifest(packed).raw is not None


@pytest.mark.parametrize("change", [{"raw": None}, {"raw": {"size": 64}}, {"raw": {"size": "x"}}])
def test_a_manifest_whose_form_makes_no_sense_is_damaged(
    change: dict[str, object], packed: Path, tmp_path: Path
) -> None:
    """One line that names the file."""
    told = json.loads((packed / "dataset.json").read_text())
    told["config"] |= change
    (tmp_path / "dataset.json").write_text(json.dumps(told))
    with pytest.raises(DamageError, match=r"dataset\.json"):
        read_manifest(tmp_path)


def test_shards_may_have_gaps_and_end_anywhere(
    images: AnnotatedSet, originals: tuple[ImageRef, ...], tmp_path: Path
) -> None:
    """Any order of rows, over several shards, gives each row its own pixels."""
    packed = pack_raw(images, tmp_path / "out", SQUASHED, shard=4)
    refs = load_split(packed, "train").images
    expected = decoded("host", originals)
    order = [8, 0, 1, 3, 2, 7, 4]
    with make("host", SQUASHED) as loader:
        batches = list(loader.batches(refs, order=order))
    assert [int(row) for batch in batches for row in batch.rows] == order
    assert_equal(by_row(batches), {row: expected[row] for row in order})


def test_raw_and_other_images_mix(
    raw: tuple[ImageRef, ...], originals: tuple[ImageRef, ...]
) -> None:
    """A batch of both has the pixels of both."""
    mixed = [(raw, originals)[row % 2][row] for row in range(GOOD)]
    expected = decoded("host", originals)
    assert_equal(decoded("host", mixed), expected)
    found = decoded("dali", mixed)
    assert_equal(
        {row: found[row] for row in range(0, GOOD, 2)}, {r: expected[r] for r in range(0, GOOD, 2)}
    )


@pytest.mark.parametrize("name", ["host", "dali"])
def test_flips_and_colors_are_those_of_the_originals(
    name: str, raw: tuple[ImageRef, ...], originals: tuple[ImageRef, ...]
) -> None:
    """To the bit, as they follow the resize."""
    views = Views(AugmentationConfig(flip=0.5, jitter=0.4), seed=3, epoch=1)
    assert_equal(decoded(name, raw, views=views), decoded("host", originals, views=views))


def test_crops_are_taken_from_the_stored_pixels(raw: tuple[ImageRef, ...]) -> None:
    """As if each stored image were an image file: here PNGs of the same pixels."""
    views = Views(AugmentationConfig(crop_scale=0.3, flip=0.5), seed=3, epoch=1)
    stored = decoded("host", raw)
    files = [
        replace(ref, raw=None, pixels=np.ascontiguousarray(stored[row].transpose(1, 2, 0)))
        for row, ref in enumerate(raw)
    ]
    expected = decoded("host", files, views=views)
    for name in ("host", "dali"):
        assert_equal(decoded(name, raw, views=views), expected)


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize(
    "other",
    [
        Preprocess(size=65),
        Preprocess(size=64, fit="pad"),
        Preprocess(size=64, interpolation="bicubic"),
        Preprocess(size=64, upright=False),
    ],
)
def test_another_preprocessing_is_refused(
    name: str, other: Preprocess, packed: Path, raw: tuple[ImageRef, ...]
) -> None:
    """By the call, in one line that names the shards, both forms, and how to pack."""
    with make(name, other) as loader, pytest.raises(PreprocessError) as told:
        loader.batches(raw)
    line = str(told.value)
    assert line.startswith(f"{packed}: raw shards of 64 x 64 pixels, squash, bilinear, but ")
    assert f"`raw=True, resize={other.size}" in line
    assert "\n" not in line


def test_only_the_normalization_may_differ(raw: tuple[ImageRef, ...]) -> None:
    """It is not stored."""
    other = Preprocess(size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    assert_equal(decoded("host", raw, other), decoded("host", raw))


def test_damage_is_the_same_fault_with_every_loader(images: AnnotatedSet, tmp_path: Path) -> None:
    """A header that was changed, and a tar that ends early; no other row is lost."""
    packed = pack_raw(images, tmp_path / "out", SQUASHED)
    refs = load_split(packed, "train").images
    with Path(refs[0].file).open("r+b") as tar:
        tar.seek(refs[2].offset + 30)
        tar.write(b"#")
    os.truncate(refs[0].file, refs[-1].offset + 1000)
    faults = []
    for name in LOADERS:
        with make(name, SQUASHED) as loader:
            batches = list(loader.batches(refs))
        assert sum(len(batch.rows) for batch in batches) == GOOD - 2
        faults.append([failure for batch in batches for failure in batch.failures])
    assert faults[0] == faults[1] == faults[2]
    assert [(f.row, str(f.fault.reason)) for f in faults[0]] == [(2, "corrupt"), (8, "truncated")]


def test_too_many_pixels_are_the_same_fault_with_every_loader(raw: tuple[ImageRef, ...]) -> None:
    """The limit counts the stored pixels."""
    from vocscore.pipeline.loaders import open_loader

    for name in LOADERS:
        options = {"batch_size": 4, "device": "cpu", "threads": 1, "max_pixels": 64 * 64 - 1}
        with open_loader(name, SQUASHED, **options) as loader:  # type: ignore[arg-type]
            reasons = {str(f.fault.reason) for b in loader.batches(raw) for f in b.failures}
        assert reasons == {"too_large"}


def test_verify_accepts_the_set_and_finds_a_changed_pixel(
    images: AnnotatedSet, tmp_path: Path
) -> None:
    """Scoring does, with every loader; loading for training does not: each epoch would pay."""
    packed = pack_raw(images, tmp_path / "out", SQUASHED)
    assert verify(packed, decode=True) == []
    refs = load_split(packed, "train").images
    with Path(refs[0].file).open("r+b") as tar:
        tar.seek(refs[4].offset + 5000)
        tar.write(b"\x01\x02\x03")
    lines = "\n".join(verify(packed, decode=True))
    assert "sample train-00000004: its image's sha256 differs" in lines
    assert len(decoded("host", refs)) == GOOD
    scored = list_tar(packed / "train-000000.tar").images
    for name in LOADERS:
        with make(name, SQUASHED) as loader:
            (bad,) = [failure for batch in loader.batches(scored) for failure in batch.failures]
        assert bad.row == 4
        assert str(bad.fault) == "corrupt: its bytes are not those that were packed (SHA-256)"


def test_a_tar_of_the_set_is_listed_with_its_form(packed: Path, raw: tuple[ImageRef, ...]) -> None:
    """As scoring lists it, with hashes; for thumbnails, its images are files that Pillow reads."""
    listed = list_tar(packed / "train-000000.tar").images
    assert all(ref.sha256 for ref in listed)
    assert tuple(replace(ref, sha256=None) for ref in listed) == raw
    from PIL import Image

    data = image_file.read_bytes(raw[0], max_pixels=10**6)
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(pixels, image_file.read_content(raw[0], max_pixels=10**6))


class _OnceEach(Sequence):  # type: ignore[type-arg]
    """References that are waited for, as those of images that are fetched: each is for one use."""

    def __init__(self, refs: Sequence[ImageRef]) -> None:
        self._refs = refs
        self.uses = [0] * len(refs)

    def __len__(self) -> int:
        return len(self._refs)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return self._refs[row]
        self.uses[row] += 1
        ref = self._refs[row]
        data = Path(ref.file.removeprefix("s3:/")).read_bytes()[ref.offset :][: ref.size]
        return replace(ref, data=data, offset=0, size=-1)


@pytest.mark.parametrize("name", LOADERS)
def test_fetched_images_are_asked_for_once(
    name: str, raw: tuple[ImageRef, ...], originals: tuple[ImageRef, ...]
) -> None:
    """Raw images in object storage are read from the bytes that were fetched, others as before."""
    expected = decoded("host", originals)
    away = _OnceEach([replace(ref, file=f"s3:/{ref.file}") for ref in raw])
    assert_equal(decoded(name, away), expected)
    assert away.uses == [1] * GOOD
    files = _OnceEach([replace(ref, file=f"s3:/{ref.file}") for ref in originals])
    decoded(name, files)
    assert files.uses == [1] * GOOD
