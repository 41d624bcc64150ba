"""Labels from YOLO data sets, written by hand as https://docs.ultralytics.com/datasets/detect/."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shards.errors import Reason, SourceError
from shards.sample import Sample
from shards.sources.registry import SOURCES
from shards.sources.source import Request, Tree
from shards.sources.yolo.labels import BadLabelsError, UnknownClassError, parse_labels
from shards.sources.yolo.places import label_path
from shards.sources.yolo.read import find_configs, read_yolo

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet

# The example of the documentation: coco8.yaml.
CONFIG = """\
# COCO8 dataset (first 8 images from COCO train2017) by Ultralytics
path: coco8 # dataset root dir
train: images/train # train images (relative to 'path')
val: images/val # val images (relative to 'path')
test: # test images (optional)

# Classes
names:
  0: person
  1: traffic light
  2: no

download: https://github.com/ultralytics/assets/releases/download/v0.0.0/coco8.zip
"""
BOX = "0.5 0.5 0.2 0.3"


def write(root: Path, config: str = CONFIG, **files: str) -> None:
    """Write data.yaml and files; '__' in a name is '/', and images are empty files."""
    root.mkdir(exist_ok=True)
    (root / "data.yaml").write_text(config)
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("_txt", ".txt").replace("_jpg", ".jpg")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def labels(found: AnnotatedSet) -> dict[str, tuple[str, ...]]:
    """The classes that are present, by path."""
    return {sample.path: sample.present for sample in found.samples}


def test_boxes_become_presence(tmp_path: Path) -> None:
    """Each class counts once; a missing and an empty label file are background, and counted."""
    write(
        tmp_path,
        images__train__a_jpg="",
        images__train__b_jpg="",
        images__train__c_jpg="",
        images__val__d_jpg="",
        labels__train__a_txt=f"0 {BOX}\n0 {BOX}\n1 {BOX}\n",
        labels__train__b_txt="",
        labels__val__d_txt=f"2 {BOX}",
        labels__val__gone_txt=f"0 {BOX}",
    )
    found = read_yolo(tmp_path)
    assert found.classes == ("person", "traffic light", "no")
    assert found.samples == (
        Sample("images/train/a.jpg", ("person", "traffic light")),
        Sample("images/train/b.jpg", ()),
        Sample("images/train/c.jpg", ()),
        Sample("images/val/d.jpg", ("no",)),
    )
    assert found.splits == {
        "train": {"images/train/a.jpg", "images/train/b.jpg", "images/train/c.jpg"},
        "val": {"images/val/d.jpg"},
    }
    background, stray = found.notes
    assert "background: 1 image without a label file, 1 with an empty one" in background
    assert "1 label file without an image, ignored: labels/val/gone.txt" in stray


@pytest.mark.parametrize(
    ("line", "numbers"),
    [("1 0.1 0.1 0.2 0.2 0.3 0.1", "a polygon"), ("1 " + "0.1 " * 8, "an oriented box")],
)
def test_polygons_count_as_boxes(line: str, numbers: str) -> None:
    """Segmentation and oriented boxes: the first number is the class, in any of them."""
    assert parse_labels(line.encode(), 2) == {1}, numbers


def test_roboflow_writes_a_folder_too_many(tmp_path: Path) -> None:
    """`train: ../train/images` beside train/, as Roboflow writes it, is train/images."""
    config = "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\n"
    write(
        tmp_path / "set",
        config,
        train__images__a_jpg="",
        train__labels__a_txt=f"1 {BOX}",
        valid__images__b_jpg="",
        valid__labels__b_txt=f"0 {BOX}",
    )
    found = read_yolo(tmp_path / "set")
    assert labels(found) == {"train/images/a.jpg": ("dog",), "valid/images/b.jpg": ("cat",)}
    assert sorted(found.splits) == ["train", "val"]


def test_a_list_and_several_folders(tmp_path: Path) -> None:
    """A split is a folder, a list of folders, or a text file of paths; missing ones are named."""
    config = "train: [images/one, images/two]\nval: val.txt\nnames: [cat, dog]\n"
    write(
        tmp_path,
        config,
        images__one__a_jpg="",
        images__two__b_jpg="",
        images__c_jpg="",
        labels__one__a_txt=f"0 {BOX}",
        labels__two__b_txt=f"1 {BOX}",
        labels__c_txt=f"1 {BOX}",
        val_txt="./images/c.jpg\n./images/gone.jpg\n",
    )
    found = read_yolo(tmp_path)
    assert labels(found) == {
        "images/c.jpg": ("dog",),
        "images/one/a.jpg": ("cat",),
        "images/two/b.jpg": ("dog",),
    }
    assert found.splits["val"] == {"images/c.jpg"}
    (gone,) = found.rejected
    assert (gone.path, gone.fault.reason) == ("images/gone.jpg", Reason.MISSING)


def test_label_files_as_ultralytics_finds_them() -> None:
    """The last folder images/ becomes labels/, and only the last suffix is replaced."""
    assert label_path("images/images/a.b.jpg") == "images/labels/a.b.txt"
    assert label_path("my_images/a.jpg") == "my_images/a.txt"
    assert label_path("images") == "images.txt"


def test_a_class_without_a_name_is_an_error(tmp_path: Path) -> None:
    """One line names the file, the line and the class."""
    write(
        tmp_path, images__train__a_jpg="", images__val__b_jpg="", labels__train__a_txt="3 0 0 1 1"
    )
    with pytest.raises(SourceError, match=r"labels/train/a\.txt, line 1: class 3, but data\.yaml"):
        read_yolo(tmp_path)
    with pytest.raises(UnknownClassError):
        parse_labels(f"-1 {BOX}".encode(), 3)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"0 {BOX} 0.9", "a prediction with its confidence"),
        ("0 0.5 0.5", "3 numbers"),
        ("cat 1 2 3 4", "not numbers"),
        ("nan 1 2 3 4", "not numbers"),
        ("0 inf 2 3 4", "not numbers"),
        (f"0.5 {BOX}", "not a whole number"),
        ("0," + BOX.replace(" ", ","), "not numbers"),
    ],
)
def test_bad_lines_reject_the_image(tmp_path: Path, line: str, why: str) -> None:
    """An image whose labels cannot be read is left out, with file, line and reason."""
    write(
        tmp_path,
        "train: images\nnames: [cat]\n",
        images__a_jpg="",
        images__b_jpg="",
        labels__a_txt=f"\n{line}",
        labels__b_txt=f"0 {BOX}",
    )
    found = read_yolo(tmp_path)
    assert labels(found) == {"images/b.jpg": ("cat",)}
    assert found.splits == {"train": {"images/b.jpg"}}
    (bad,) = found.rejected
    assert bad.fault.reason == Reason.BAD_ANNOTATION
    assert bad.fault.detail.startswith("labels/a.txt, line 2: ")
    assert why in bad.fault.detail


def test_keypoints() -> None:
    """With kpt_shape, a line is a box and the keypoints, and any other count is refused."""
    line = f"1 {BOX} 0.1 0.2 2 0.3 0.4 2".encode()
    assert parse_labels(line, 2, keypoints=6) == {1}
    with pytest.raises(BadLabelsError, match="keypoints"):
        parse_labels(f"1 {BOX}".encode(), 2, keypoints=6)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("", "not a list of 'key: value'"),
        ("train: images\n", "no 'names'"),
        ("names: [cat]\n", "no folder of images"),
        ("train: images\nnames: [cat]\nnc: 2\n", "line 3: nc is '2', but there are 1 names"),
        ("train: images\nnames: {0: cat, 2: dog}\n", "no class 1 of 2"),
        ("train: images\nnames: {a: cat}\n", "'a' is not the index of a class"),
        ("train: images\nnames: [cat, cat]\n", "classes 0 and 1 are both 'cat'"),
        ("train: images\nnames: [[cat]]\n", "the name of class 0 is not text"),
        ("train: images\nnames: cat\n", "not a list of 'key: value'"),
        ("train: images\nnames: [cat, ~]\n", "the name of class 1 is not text"),
        ("train: images\nnames: {0: cat, 0: dog}\n", "'0' appears twice"),
        ("train: images\nval: a\nvalidation: b\nnames: [cat]\n", "a second 'val'"),
        ("train: {a: b}\nnames: [cat]\n", "not text or a list of texts"),
        ("train: gone\nnames: [cat]\n", "no such folder below"),
        ("train: ../../outside\nnames: [cat]\n", "is not inside"),
        ("train: empty\nnames: [cat]\n", "no image in empty"),
        ("train: [\nnames", "not YAML"),
        ("train: \x07\nnames: [cat]\n", "not YAML"),
        ("- " * 1200, "nested too deeply"),
        ("train: images\nnames: [cat]\nkpt_shape: 3\n", "kpt_shape is not two numbers"),
    ],
)
def test_bad_configs(tmp_path: Path, config: str, why: str) -> None:
    """Each mistake in data.yaml is one line that names the file and what is wrong."""
    root = tmp_path / "a" / "set"
    (root / "images").mkdir(parents=True)
    (root / "empty").mkdir()
    (tmp_path / "outside").mkdir()
    write(root, config, images__a_jpg="", labels__a_txt=f"0 {BOX}")
    with pytest.raises(SourceError) as caught:
        read_yolo(root)
    assert str(root / "data.yaml") in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_tag_runs_and_no_alias_expands(tmp_path: Path) -> None:
    """YAML's tags construct nothing, and nested aliases are not followed."""
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    write(
        tmp_path,
        f"{bomb}train: images\nnames: [!!python/object/apply:os.system ['touch ran'], cat]\n",
    )
    with pytest.raises(SourceError, match="the name of class 0 is not text"):
        read_yolo(tmp_path)


def test_no_labels_at_all_is_an_error(tmp_path: Path) -> None:
    """If no image has a label file, the line says where the first one should be."""
    write(tmp_path, "train: photos\nnames: [cat]\n", photos__a_jpg="")
    with pytest.raises(SourceError, match=r"the first should be .*photos/a\.txt"):
        read_yolo(tmp_path)


def test_which_file_describes_the_set(tmp_path: Path) -> None:
    """Of several YAML files only those with names and a split count, and data.yaml wins."""
    (tmp_path / "other.yaml").write_text("a: b\n")
    (tmp_path / "coco8.yaml").write_text(CONFIG)
    assert [file.name for file in find_configs(tmp_path)] == ["coco8.yaml"]
    (tmp_path / "coco9.yaml").write_text(CONFIG)
    with pytest.raises(SourceError, match=r"several data sets: coco8\.yaml, coco9\.yaml"):
        read_yolo(tmp_path)
    (tmp_path / "data.yaml").write_text(CONFIG)
    assert [file.name for file in find_configs(tmp_path)] == ["data.yaml"]


def test_a_damaged_data_yaml_is_recognized(tmp_path: Path) -> None:
    """Its error is the one to show; a YAML of something else says nothing."""
    file = tmp_path / "data.yaml"
    looks_like = SOURCES["yolo"].looks_like
    assert looks_like(Tree(tmp_path)) is None
    for text in (b"names: [cat", b"\xff\xfenames", b"names: [cat]\nnames: [dog]\n"):
        file.write_bytes(text)
        assert looks_like(Tree(tmp_path)) == "data.yaml"
        with pytest.raises(SourceError, match=r"data\.yaml"):
            read_yolo(tmp_path)
    file.write_text("name: other\n")
    assert looks_like(Tree(tmp_path)) is None


def test_images_in_no_split_are_counted(tmp_path: Path) -> None:
    """coco8.yaml may leave test: blank although images/test exists."""
    names = [f"images__{split}__a_jpg" for split in ("train", "val", "test")]
    write(tmp_path, **dict.fromkeys(names, ""), labels__train__a_txt=f"0 {BOX}")
    found = SOURCES["yolo"].read(Tree(tmp_path), Request())
    assert found.notes[-1] == "ignored, in no split of data.yaml: 1 image; first: images/test/a.jpg"
