"""Scoring shards that were packed with verification: each image is compared with its hash."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mutations import good_jpegs
from tiny_network import CLASSES, make_checkpoint, read, run

from shards.packing.pack import pack
from shards.sample import AnnotatedSet, Sample
from shards.tar.images import list_tar
from vocscore.thumbnails.image_source import ImageSource

if TYPE_CHECKING:
    from s3_server import Bucket

IMAGES = 18
FLIPPED = (2, 3, 11)
ERROR = "corrupt: its bytes are not those that were packed (SHA-256)"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture
def images(tmp_path: Path) -> AnnotatedSet:
    """Good JPEGs of several makes."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, data in enumerate(good_jpegs()[:IMAGES]):
        (folder / f"{number:02d}.jpg").write_bytes(data)
    samples = tuple(Sample(f"{number:02d}.jpg", (CLASSES[0],)) for number in range(IMAGES))
    return AnnotatedSet(folder, samples)


def packed(images: AnnotatedSet, out: Path, *, verify: bool = True) -> Path:
    settings: dict[str, Any] = {"max_bad": 0, "max_pixels": 10**7, "resize": None, "quality": 95}
    pack(
        images,
        {"train": images.samples},
        out,
        classes=CLASSES,
        shard_samples=7,
        verify=verify,
        workers=1,
        overwrite=False,
        settings={},
        **settings,
    )
    return out


def flip(shards: Path, *, rows: tuple[int, ...] = FLIPPED) -> dict[int, bytes]:
    """Flip the last bit of a byte in the middle of some images; return what they are then."""
    refs = [ref for tar in sorted(shards.glob("*.tar")) for ref in list_tar(tar).images]
    found = {}
    for row in rows:
        ref = refs[row]
        with Path(ref.file).open("r+b") as file:
            file.seek(ref.offset)
            data = bytearray(file.read(ref.size))
            data[ref.size // 2] ^= 1
            file.seek(ref.offset)
            file.write(data)
        found[row] = bytes(data)
    return found


def test_intact_shards_have_the_bytes_of_shards_without_verification(
    images: AnnotatedSet, checkpoint: Path, tmp_path: Path
) -> None:
    """And those of the folder."""
    run(images.root, tmp_path / "folder.csv", checkpoint)
    for verify in (True, False):
        shards = packed(images, tmp_path / str(verify), verify=verify)
        run(shards, tmp_path / "shards.csv", checkpoint, overwrite=True)
        expected = (tmp_path / "folder.csv").read_bytes()
        assert (tmp_path / "shards.csv").read_bytes() == expected


@pytest.mark.parametrize("loader", ["host", "dali", "reference"])
def test_a_flipped_bit_is_an_error_of_its_row(
    loader: str, images: AnnotatedSet, checkpoint: Path, tmp_path: Path
) -> None:
    """The other rows keep their scores; the quarantine has the damaged bytes."""
    shards = packed(images, tmp_path / "shards")
    run(shards, tmp_path / "before.csv", checkpoint, loader=loader)
    damaged = flip(shards)
    quarantine = tmp_path / "bad"
    run(shards, tmp_path / "after.csv", checkpoint, loader=loader, quarantine=quarantine)
    before, after = read(tmp_path / "before.csv"), read(tmp_path / "after.csv")
    assert list(after) == list(before)
    for row, name in enumerate(after):
        if row in FLIPPED:
            assert (after[name]["status"], after[name]["error"]) == ("error", ERROR)
            assert (quarantine / name).read_bytes() == damaged[row]
        else:
            assert after[name] == before[name]


def test_without_verification_the_rows_are_those_of_the_damaged_files(
    images: AnnotatedSet, checkpoint: Path, tmp_path: Path
) -> None:
    """Some of them are scored, as decoding finds nothing wrong."""
    shards = packed(images, tmp_path / "shards", verify=False)
    for row, data in flip(shards, rows=tuple(range(IMAGES))).items():
        (images.root / f"{row:02d}.jpg").write_bytes(data)
    run(images.root, tmp_path / "folder.csv", checkpoint)
    run(shards, tmp_path / "shards.csv", checkpoint)
    assert (tmp_path / "shards.csv").read_bytes() == (tmp_path / "folder.csv").read_bytes()
    statuses = {row["status"] for row in read(tmp_path / "shards.csv").values()}
    assert statuses == {"ok", "error"}


def test_shards_in_object_storage_are_compared_too(
    storage: Bucket, images: AnnotatedSet, checkpoint: Path, tmp_path: Path
) -> None:
    """Their rows are those of the local shards."""
    shards = packed(images, tmp_path / "shards")
    flip(shards)
    run(shards, tmp_path / "local.csv", checkpoint)
    run(storage.put_tree(shards, "some/shards"), tmp_path / "remote.csv", checkpoint)
    assert (tmp_path / "remote.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    errors = [row["error"] for row in read(tmp_path / "remote.csv").values() if row["error"]]
    assert errors == [ERROR] * len(FLIPPED)


def test_a_thumbnail_of_damaged_bytes_is_refused_as_the_row_is(
    images: AnnotatedSet, tmp_path: Path
) -> None:
    """The page shows the reason."""
    from shards.errors import BadImage

    shards = packed(images, tmp_path / "shards")
    flip(shards)
    source = ImageSource(shards)
    assert source.read("00.jpg").startswith(b"\xff\xd8")
    with pytest.raises(BadImage) as bad:
        source.read("02.jpg")
    assert str(bad.value) == ERROR
