"""Where the images lie: packed splits, and tars from anywhere."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from small_sets import CLASSES, content, image_bytes, pack_small, small_set

from shards.errors import DamageError, SourceError
from shards.images.image_file import read_bytes
from shards.manifest import read_manifest, write_manifest
from shards.reader import load_split
from shards.sample import AnnotatedSet, Sample
from shards.tar.images import list_tar

if TYPE_CHECKING:
    from pathlib import Path


def packed(tmp_path: Path) -> Path:
    """A set of 9 images in 'train' and 5 in 'val', in shards of 3."""
    pack_small(small_set(tmp_path / "in"), tmp_path / "out")
    return tmp_path / "out"


def test_a_split_comes_back_with_names_bytes_and_labels(tmp_path: Path) -> None:
    """Each reference leads to the bytes of the file that it is named after, beside its labels."""
    found = load_split(packed(tmp_path), "train")
    assert [ref.name for ref in found.images] == [f"{i:03d}.jpg" for i in range(9)]
    for ref in found.images:
        assert read_bytes(ref, max_pixels=10**8) == (tmp_path / "in" / ref.name).read_bytes()
    assert found.labels.dtype == np.int8
    assert found.labels.tolist() == [
        [1 - i % 2, i % 2, -1 if i % 3 == 0 else 0] for i in range(len(found.images))
    ]


def test_splits_are_joined_by_commas(tmp_path: Path) -> None:
    """'val,train' is val and then train."""
    out = packed(tmp_path)
    both = load_split(out, "val, train")
    val, train = load_split(out, "val"), load_split(out, "train")
    assert both.images == val.images + train.images
    assert both.labels.tolist() == val.labels.tolist() + train.labels.tolist()


def test_an_unknown_split_lists_those_there_are(tmp_path: Path) -> None:
    """A split that the set does not have is an error that names those it has."""
    with pytest.raises(SourceError, match=r"no split 'test'\. Available: train, val"):
        load_split(packed(tmp_path), "train,test")


def test_no_image_is_read_to_find_them(tmp_path: Path) -> None:
    """Listing and labels come out the same with every image's bytes turned to zeros."""
    out = packed(tmp_path)
    before = load_split(out, "train,val")
    listed = list_tar(out / "train-000000.tar")
    for ref in before.images:
        with open(ref.file, "r+b") as file:  # noqa: PTH123 - it is a str
            file.seek(ref.offset)
            file.write(bytes(ref.size))
    after = load_split(out, "train,val")
    assert after.images == before.images
    assert after.labels.tolist() == before.labels.tolist()
    assert list_tar(out / "train-000000.tar") == listed


def test_five_thousand_samples_load_in_under_a_second(tmp_path: Path) -> None:
    """A split of 5,000 samples is found in well under a second."""
    (tmp_path / "in").mkdir()
    data = image_bytes(0)
    samples = tuple(Sample(f"{i:05d}.jpg", ("cat",)) for i in range(5000))
    for sample in samples:
        (tmp_path / "in" / sample.path).write_bytes(data)
    annotated = AnnotatedSet(tmp_path / "in", samples)
    pack_small(annotated, tmp_path / "out", splits={"train": samples}, shard_samples=1000)
    started = time.process_time()
    assert len(load_split(tmp_path / "out", "train").images) == 5000
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("train-000001.tar", r"train-000001\.tar: (cannot be read: No such file|it or its index)"),
        ("train-000001.idx", r"train-000001\.idx: (missing|not a complete index)"),
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


def test_names_of_any_bytes_come_back_from_both_ways(tmp_path: Path) -> None:
    """A file name that is not UTF-8 is the same in load_split, in list_tar and on the disk."""
    name = os.fsdecode(b"n\xff \xc3\xa4.jpg")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(image_bytes(1))
    samples = (Sample(name, ("cat",)),)
    pack_small(AnnotatedSet(tmp_path / "in", samples), tmp_path / "out", splits={"train": samples})
    ref = load_split(tmp_path / "out", "train").images[0]
    assert ref.name == name
    assert list_tar(tmp_path / "out" / "train-000000.tar").images == (ref,)
    assert read_bytes(ref, max_pixels=10**8) == (tmp_path / "in" / ref.name).read_bytes()


def test_reading_changes_nothing(tmp_path: Path) -> None:
    """A set is the same after it has been read."""
    out = packed(tmp_path)
    before = content(out)
    load_split(out, "train")
    list_tar(out / "train-000000.tar")
    assert content(out) == before
    assert json.loads(before["dataset.json"])["splits"]["train"]["samples"] == 9
