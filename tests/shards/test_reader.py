"""Where the pictures lie: packed splits, and tars from anywhere."""

from __future__ import annotations

import json
import os
import tarfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from small_sets import CLASSES, content, pack_small, picture_bytes, small_set
from test_ustar import make_tar

from shards.errors import DamageError, SourceError
from shards.manifest import read_manifest, write_manifest
from shards.pictures.picture import read_bytes
from shards.reader import list_tar, load_split
from shards.sample import AnnotatedSet, Sample
from shards.ustar import CompressedTarError, members

if TYPE_CHECKING:
    from pathlib import Path


def packed(tmp_path: Path) -> Path:
    """A set of 9 pictures in 'train' and 5 in 'val', in shards of 3."""
    pack_small(small_set(tmp_path / "in"), tmp_path / "out")
    return tmp_path / "out"


def tar_of(file: Path, parts: dict[str, bytes], *, kind: int = tarfile.PAX_FORMAT) -> Path:
    """A foreign tar with these members."""
    import io

    with tarfile.open(file, "w", format=kind) as tar:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def test_a_split_comes_back_with_names_bytes_and_labels(tmp_path: Path) -> None:
    """Each reference leads to the bytes of the file that it is named after, beside its labels."""
    found = load_split(packed(tmp_path), "train")
    assert [ref.name for ref in found.pictures] == [f"{i:03d}.jpg" for i in range(9)]
    for ref in found.pictures:
        assert read_bytes(ref, max_pixels=10**8) == (tmp_path / "in" / ref.name).read_bytes()
    assert found.labels.dtype == np.int8
    assert found.labels.tolist() == [
        [1 - i % 2, i % 2, -1 if i % 3 == 0 else 0] for i in range(len(found.pictures))
    ]


def test_splits_are_joined_by_commas(tmp_path: Path) -> None:
    """'val,train' is val and then train."""
    out = packed(tmp_path)
    both = load_split(out, "val, train")
    val, train = load_split(out, "val"), load_split(out, "train")
    assert both.pictures == val.pictures + train.pictures
    assert both.labels.tolist() == val.labels.tolist() + train.labels.tolist()


def test_an_unknown_split_lists_those_there_are(tmp_path: Path) -> None:
    """A split that the set does not have is an error that names those it has."""
    with pytest.raises(SourceError, match=r"no split 'test' in it\. There are: train, val"):
        load_split(packed(tmp_path), "train,test")


def test_no_picture_is_read_to_find_them(tmp_path: Path) -> None:
    """Listing and labels come out the same with every picture's bytes turned to zeros."""
    out = packed(tmp_path)
    before = load_split(out, "train,val")
    listed = list_tar(out / "train-000000.tar")
    for ref in before.pictures:
        with open(ref.file, "r+b") as file:  # noqa: PTH123 - it is a str
            file.seek(ref.offset)
            file.write(bytes(ref.size))
    after = load_split(out, "train,val")
    assert after.pictures == before.pictures
    assert after.labels.tolist() == before.labels.tolist()
    assert list_tar(out / "train-000000.tar") == listed


def test_five_thousand_samples_load_in_under_a_second(tmp_path: Path) -> None:
    """A split of 5,000 samples is found in well under a second."""
    (tmp_path / "in").mkdir()
    data = picture_bytes(0)
    samples = tuple(Sample(f"{i:05d}.jpg", ("cat",)) for i in range(5000))
    for sample in samples:
        (tmp_path / "in" / sample.path).write_bytes(data)
    annotated = AnnotatedSet(tmp_path / "in", samples)
    pack_small(annotated, tmp_path / "out", splits={"train": samples}, shard_samples=1000)
    started = time.process_time()
    assert len(load_split(tmp_path / "out", "train").pictures) == 5000
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("train-000001.tar", r"train-000001\.tar: (cannot be read: No such file|it or its index)"),
        ("train-000001.idx", r"train-000001\.idx: not (there|a whole index)"),
        ("dataset.json", "dataset.json"),
    ],
)
@pytest.mark.parametrize("cut", [None, 0, 100])
def test_a_damaged_set_is_not_loaded(name: str, line: str, cut: int | None, tmp_path: Path) -> None:
    """A shard, an index or a manifest that is gone or cut short is a DamageError that names it."""
    file = packed(tmp_path) / name
    data = file.read_bytes()
    file.unlink()
    if cut is not None:
        file.write_bytes(data[:cut])
    with pytest.raises(DamageError, match=line):
        load_split(tmp_path / "out", "train")


@pytest.mark.parametrize("what", ["classes", "index", "json", "header"])
def test_labels_that_do_not_fit_are_not_loaded(what: str, tmp_path: Path) -> None:
    """Labels of another length, or an index that points elsewhere, are a DamageError."""
    out = packed(tmp_path)
    tar, index = out / "train-000000.tar", out / "train-000000.idx"
    if what == "classes":
        write_manifest(out, replace(read_manifest(out), classes=(*CLASSES, "horse")))
    elif what == "index":
        index.write_text(index.read_text().replace("labels.npy ", "labels.npy 1"))
    else:
        at = tar.read_bytes().index(b'{"difficult"' if what == "json" else b"\x93NUMPY")
        with tar.open("r+b") as file:
            file.seek(at)
            file.write(b"?")
    with pytest.raises(
        DamageError, match=r"train-000000\.tar: 'train-00000000\.jpg' is not a samp"
    ):
        load_split(out, "train")


def test_a_packed_tar_lists_original_paths(tmp_path: Path) -> None:
    """With dataset.json beside it, a tar's pictures have their original paths as names."""
    out = packed(tmp_path)
    listing = list_tar(out / "val-000000.tar")
    assert listing.damage is None
    assert listing.pictures == load_split(out, "val").pictures[:3]


def test_a_tar_that_the_manifest_does_not_name_is_foreign(tmp_path: Path) -> None:
    """Without our manifest beside it, or not named in it, a tar's pictures are TAR/MEMBER."""
    out = packed(tmp_path)
    (out / "other.tar").write_bytes((out / "val-000000.tar").read_bytes())
    assert list_tar(out / "other.tar").pictures[0].name == "other.tar/val-00000000.jpg"
    (out / "dataset.json").write_text('{"name": "a data set of someone else"}')
    os.utime(out / "dataset.json", ns=(1, 1))
    first = list_tar(out / "val-000000.tar").pictures[0]
    assert first.name == "val-000000.tar/val-00000000.jpg"
    (out / "dataset.json").unlink()
    assert list_tar(out / "val-000000.tar").pictures[0] == first


def test_a_damaged_manifest_is_not_taken_for_none(tmp_path: Path) -> None:
    """Where dataset.json is ours and damaged, names are not silently other ones."""
    out = packed(tmp_path)
    text = (out / "dataset.json").read_text()
    for spoilt in (text[:-9], text.replace('"version": 1', '"version": 2')):
        (out / "dataset.json").write_text(spoilt)
        with pytest.raises(DamageError, match=r"dataset\.json"):
            list_tar(out / "val-000000.tar")


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_picture_of_a_foreign_tar_is_found(kind: int, tmp_path: Path) -> None:
    """Any suffix in any case, several a sample, long names, pictures that only their bytes tell."""
    long = "a/" * 40 + "long.jpg"
    pictures = {
        "0.JPEG": picture_bytes(1),
        "0.left.png": picture_bytes(2, "PNG"),
        "0.mask.webp": picture_bytes(3, "WEBP"),
        "1.image": picture_bytes(4),
        "d/2.input": picture_bytes(5, "WEBP"),
        "3": picture_bytes(6, "PNG"),
        "e.f/4.Bmp": picture_bytes(7, "BMP"),
        "5.empty.jpg": b"",
        "ä b.tiff": picture_bytes(8, "TIFF"),
        long: picture_bytes(9),
    }
    others = {
        "0.txt": b"BMW on a road",
        "0.cls": b"3",
        "1.json": b"{}",
        ".hidden.jpg": b"x",
        "d/._2.jpg": b"x",
        "6.npy": b"\x93NUMPY",
    }
    names = sorted({**pictures, **others})
    tar = tar_of(tmp_path / "x.tar", {n: {**pictures, **others}[n] for n in names}, kind=kind)
    listing = list_tar(tar)
    assert listing.damage is None
    assert [ref.name for ref in listing.pictures] == [f"x.tar/{n}" for n in names if n in pictures]
    for ref in listing.pictures:
        if ref.size:
            assert read_bytes(ref, max_pixels=10**8) == pictures[ref.name.removeprefix("x.tar/")]


@pytest.mark.parametrize("own", [True, False])
def test_a_half_written_tar_gives_its_readable_pictures_and_the_damage(
    own: bool, tmp_path: Path
) -> None:
    """Cut at any block, every picture that is whole is listed, with a line on the damage."""
    out = packed(tmp_path)
    tar = out / "train-000000.tar"
    whole = list_tar(tar).pictures
    data = tar.read_bytes()
    stored = [(m.offset + m.size, m.name) for m in members(tar)]
    stops = [stop for stop, name in stored if name.endswith(".jpg")]
    described = [stop for stop, name in stored if name.endswith(".json")]
    if not own:
        (out / "dataset.json").unlink()
    for cut in range(512, stored[-1][0], 512):
        tar.write_bytes(data[:cut])
        listing = list_tar(tar)
        assert listing.damage is not None
        assert listing.damage.startswith("train-000000.tar: cut short: ")
        places = [(ref.offset, ref.size) for ref in listing.pictures]
        assert places == [(ref.offset, ref.size) for ref in whole][: sum(s <= cut for s in stops)]
        named = [ref.name for ref in listing.pictures if ref.name.startswith("0")]
        expected = sum(stop <= cut for stop in described) if own else 0
        assert named == [ref.name for ref in whole][:expected]


def test_a_damaged_description_costs_only_the_name(tmp_path: Path) -> None:
    """A picture whose description is damaged is listed all the same, as TAR/MEMBER."""
    out = packed(tmp_path)
    tar = out / "train-000000.tar"
    data = tar.read_bytes()
    tar.write_bytes(data.replace(b'"path":"001.jpg"', b'"path"?"001.jpg"'))
    names = [ref.name for ref in list_tar(tar).pictures]
    assert names == ["000.jpg", "train-000000.tar/train-00000001.jpg", "002.jpg"]


def test_an_empty_or_missing_tar_is_damage(tmp_path: Path) -> None:
    """A tar without a byte, or gone, or of other bytes, lists nothing and says why."""
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "text.tar").write_bytes(b"no tar at all" * 100)
    expected = {"empty.tar": "cut short", "text.tar": "not a tar", "gone.tar": "cannot be read"}
    for name, line in expected.items():
        listing = list_tar(tmp_path / name)
        assert listing.pictures == ()
        assert listing.damage is not None
        assert listing.damage.startswith(f"{name}: {line}")


def test_a_compressed_tar_is_an_error(tmp_path: Path) -> None:
    """A gzip-compressed tar is an error that says what to run, not an empty listing."""
    import gzip

    tar = make_tar(tmp_path / "x.tar", ["a.jpg"])
    (tmp_path / "y.tar").write_bytes(gzip.compress(tar.read_bytes()))
    with pytest.raises(CompressedTarError, match=r"y\.tar: compressed with gzip.* Run gunzip"):
        list_tar(tmp_path / "y.tar")


def test_names_of_any_bytes_come_back_from_both_ways(tmp_path: Path) -> None:
    """A file name that is not UTF-8 is the same in load_split, in list_tar and on the disk."""
    name = os.fsdecode(b"n\xff \xc3\xa4.jpg")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(picture_bytes(1))
    samples = (Sample(name, ("cat",)),)
    pack_small(AnnotatedSet(tmp_path / "in", samples), tmp_path / "out", splits={"train": samples})
    ref = load_split(tmp_path / "out", "train").pictures[0]
    assert ref.name == name
    assert list_tar(tmp_path / "out" / "train-000000.tar").pictures == (ref,)
    assert read_bytes(ref, max_pixels=10**8) == (tmp_path / "in" / ref.name).read_bytes()


def test_reading_changes_nothing(tmp_path: Path) -> None:
    """A set is the same after it has been read."""
    out = packed(tmp_path)
    before = content(out)
    load_split(out, "train")
    list_tar(out / "train-000000.tar")
    assert content(out) == before
    assert json.loads(before["dataset.json"])["splits"]["train"]["samples"] == 9
