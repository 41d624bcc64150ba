"""Several COCO files as the splits of one set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shards.errors import SourceError
from shards.sample import AnnotatedSet, Sample
from shards.sources.coco.read import read_coco
from shards.sources.coco.splits import CocoFile, name_splits
from shards.splitting.splits import split_by_lists

if TYPE_CHECKING:
    from collections.abc import Sequence


def part(names: Sequence[str], categories: Sequence[tuple[int, str]], *seen: int) -> dict[str, Any]:
    """A COCO file of these images, the first of which has annotations of `seen`."""
    return {
        "images": [{"id": at, "file_name": name} for at, name in enumerate(names)],
        "categories": [{"id": one, "name": name} for one, name in categories],
        "annotations": [{"image_id": 0, "category_id": one} for one in seen],
    }


CLASSES = [(1, "cat"), (2, "dog")]


def read(root: Path, images: Sequence[str], files: dict[str, dict[str, Any]]) -> AnnotatedSet:
    """Read the files, written below the root, as one set; a name may be SPLIT=PATH."""
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    given = []
    for name, value in files.items():
        split, _, path = name.rpartition("=")
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
        given.append(CocoFile(file, split or None))
    return read_coco(root, given)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["instances_train2017.json", "instances_val2017.json"], ["train", "val"]),
        (["train/_annotations.coco.json", "valid/_annotations.coco.json"], ["train", "val"]),
        (["Training.json", "coco-TEST.json"], ["train", "test"]),
        (["person_keypoints_val2014.json", "trainval.json"], ["val", "trainval"]),
        (["a=x.json", "validation.json"], ["a", "val"]),
        (["train/instances_val.json", "test/annotations.json"], ["val", "test"]),
        (["x.json"], [None]),
        (["train.json"], [None]),
        (["b=train.json"], ["b"]),
    ],
)
def test_names(names: list[str], splits: list[str | None]) -> None:
    """A split is named by the user, by its file's name or by its folder; one file is no split."""
    files = [
        CocoFile(Path("/set") / path, split or None)
        for split, _, path in (name.rpartition("=") for name in names)
    ]
    assert [one.split for one in name_splits(files)] == splits


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["train.json", "x.json"], "x.json: its name does not tell which split it is"),
        (["train.json", "test of cats/x.json"], "x.json: its name does not tell"),
        (["train.json", "train_val.json"], "train_val.json: its name does not tell"),
        (["train/a.json", "train/b.json"], "train/a.json: a second file for split 'train'"),
        (["val.json", "valid.json"], "val.json: a second file for split 'val'"),
    ],
)
def test_names_that_tell_nothing(names: list[str], said: str) -> None:
    """A file whose split is not certain is refused with the way to name it."""
    with pytest.raises(SourceError) as caught:
        name_splits([CocoFile(Path("/set") / name) for name in names])
    assert said in str(caught.value)
    assert "`coco=[" in str(caught.value)


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train/_annotations.coco.json", "valid/_annotations.coco.json"),
        ("annotations/instances_train2017.json", "annotations/instances_val2017.json"),
        ("train.json", "val.json"),
    ],
    ids=["Roboflow", "COCO", "one folder"],
)
def test_layouts(tmp_path: Path, train: str, val: str) -> None:
    """Names may be relative to SRC, to the file's own folder, or to a folder of each split."""
    folders = {"R": ("train/", "valid/"), "a": ("train2017/", "images/val2017/"), "t": ("", "")}
    here, there = folders["R" if "valid" in val else train[0]]
    files = {
        train: part(["p0.jpg", "p1.jpg"], CLASSES, 1, 2),
        val: part(["p2.jpg"], CLASSES, 2),
    }
    images = [f"{here}p0.jpg", f"{here}p1.jpg", f"{there}p2.jpg"]
    found = read(tmp_path, images, files)
    assert found.samples == (
        *sorted(
            (
                Sample(images[0], ("cat", "dog")),
                Sample(images[1], ()),
                Sample(images[2], ("dog",)),
            ),
            key=lambda sample: sample.path,
        ),
    )
    assert found.splits == {"train": set(images[:2]), "val": set(images[2:])}


def test_equal_names_in_each_folder(tmp_path: Path) -> None:
    """Images of one name in the folders of two splits are two images."""
    files = {
        "train/a.json": part(["p.jpg"], CLASSES, 1),
        "test/a.json": part(["p.jpg"], CLASSES, 2),
    }
    found = read(tmp_path, ["train/p.jpg", "test/p.jpg"], files)
    assert found.samples == (Sample("test/p.jpg", ("dog",)), Sample("train/p.jpg", ("cat",)))


def test_categories_agree_by_name(tmp_path: Path) -> None:
    """Ids and order may differ from file to file; the first file's order counts."""
    files = {
        "train.json": part(["a.jpg"], [(5, "dog"), (1, "cat")], 5),
        "val.json": part(["b.jpg"], [(1, "dog"), (5, "cat")], 5),
    }
    found = read(tmp_path, ["a.jpg", "b.jpg"], files)
    assert found.classes == ("dog", "cat")
    assert found.samples == (Sample("a.jpg", ("dog",)), Sample("b.jpg", ("cat",)))
    files["val.json"]["categories"].append({"id": 9, "name": "yak"})
    with pytest.raises(SourceError, match=r"train\.json: no category 'yak', which .*val\.json has"):
        read(tmp_path, [], files)


def test_a_heading_category_in_every_file(tmp_path: Path) -> None:
    """Roboflow's first category is left out of every split, or, annotated in one, of none."""
    heads = [{"id": 0, "name": "pets", "supercategory": "none"}]
    pets = [{"id": 1, "name": "cat", "supercategory": "pets"}]
    files = {"train.json": part(["a.jpg"], [], 1), "val.json": part(["b.jpg"], [])}
    for value in files.values():
        value["categories"] = heads + pets
    assert read(tmp_path, ["a.jpg", "b.jpg"], files).classes == ("cat",)
    files["val.json"]["annotations"] = [{"image_id": 0, "category_id": 0}]
    assert read(tmp_path, [], files).classes == ("pets", "cat")


def test_an_image_in_two_files(tmp_path: Path) -> None:
    """An image of two splits has the labels of both, is noted, and is refused as a leak."""
    files = {
        "train.json": part(["a.jpg", "b.jpg"], CLASSES, 1),
        "val.json": part(["a.jpg"], CLASSES, 2),
    }
    found = read(tmp_path, ["a.jpg", "b.jpg"], files)
    assert found.samples[0] == Sample("a.jpg", ("cat", "dog"))
    assert found.notes == ("1 image in several files, such as a.jpg",)
    with pytest.raises(SourceError, match=r"a\.jpg is in the lists 'train' and 'val'"):
        split_by_lists(found)


def test_missing_images_of_a_split(tmp_path: Path) -> None:
    """Missing images are rejected under their file's name; a file of which all miss is refused."""
    files = {
        "train.json": part(["a.jpg", "gone.jpg"], CLASSES, 1),
        "val.json": part(["b.jpg"], CLASSES),
    }
    found = read(tmp_path, ["a.jpg", "b.jpg"], files)
    assert found.splits == {"train": {"a.jpg"}, "val": {"b.jpg"}}
    label = f"{tmp_path.name}/train.json"
    assert found.rejected[0].fault.detail == f"named in {label}, image 1; no such file"
    files["val.json"]["images"][0]["file_name"] = "gone2.jpg"
    with pytest.raises(SourceError, match=r"val\.json: the path matches no file"):
        read(tmp_path, [], files)
