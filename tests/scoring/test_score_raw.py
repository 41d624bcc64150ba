"""Raw shards and the images that they were made of get the same scores, to the last digit."""

from __future__ import annotations

import csv

import pytest
from mutations import good_jpegs
from tiny_network import CLASSES, SIZE, make_checkpoint, run

from shards.packing.pack import pack
from shards.sample import AnnotatedSet, Sample
from vocscore.errors import PreprocessError
from vocscore.pipeline.preprocess import Preprocess
from vocscore.pipeline.raw import form_of
from vocscore.pipeline.raw_maker import HostRawMaker
from vocscore.thumbnails.image_source import ImageSource
from vocscore.thumbnails.thumbnail import facts, thumbnail


def packed(folder, size):
    """Good images of a folder as raw shards."""
    samples = tuple(Sample(file.name, (CLASSES[0],)) for file in sorted(folder.iterdir()))
    out = folder.parent / f"raw{size}"
    pack(
        AnnotatedSet(folder, samples),
        {"train": samples},
        out,
        classes=CLASSES,
        shard_samples=5,
        verify=True,
        max_bad=0,
        max_pixels=10**7,
        resize=size,
        quality=95,
        workers=1,
        overwrite=False,
        settings={},
        raw=HostRawMaker(form_of(Preprocess(size=size)), 10**7),
    )
    return out


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "in"
    folder.mkdir()
    for number, data in enumerate(good_jpegs()[:8]):
        (folder / f"{number}.jpg").write_bytes(data)
    return folder


def test_scores_are_those_of_the_originals(photos, checkpoint, tmp_path):
    """Row by row, by the original paths; also one tar of the set alone."""
    run(photos, tmp_path / "files.csv", checkpoint)
    shards = packed(photos, SIZE)
    run(shards, tmp_path / "raw.csv", checkpoint)
    expected = list(csv.reader((tmp_path / "files.csv").open()))
    assert list(csv.reader((tmp_path / "raw.csv").open())) == expected
    run(shards / "train-000000.tar", tmp_path / "tar.csv", checkpoint)
    assert list(csv.reader((tmp_path / "tar.csv").open())) == expected[:6]
    data = ImageSource(shards).read("3.jpg")
    assert (facts(data).width, facts(data).height) == (SIZE, SIZE)
    assert thumbnail(data, 16, max_pixels=10**6).startswith(b"\xff\xd8")


def test_shards_of_another_size_are_refused_before_anything_is_written(
    photos, checkpoint, tmp_path
):
    """One line that says what to do."""
    shards = packed(photos, SIZE + 1)
    with pytest.raises(PreprocessError, match=f"`raw=True, resize={SIZE}`"):
        run(shards, tmp_path / "raw.csv", checkpoint)
    assert list(tmp_path.iterdir()) == []


def test_raw_shards_in_object_storage_are_scored_as_files(photos, checkpoint, tmp_path, storage):
    """The manifest says so there, too; a set of another size is refused in the same line."""
    shards = packed(photos, SIZE)
    run(shards, tmp_path / "raw.csv", checkpoint)
    url = storage.put_tree(shards, "raw")
    run(url, tmp_path / "away.csv", checkpoint)
    assert (tmp_path / "away.csv").read_bytes() == (tmp_path / "raw.csv").read_bytes()
    other = storage.put_tree(packed(photos, SIZE + 1), "other")
    with pytest.raises(PreprocessError, match=f"`raw=True, resize={SIZE}`"):
        run(other, tmp_path / "other.csv", checkpoint)
