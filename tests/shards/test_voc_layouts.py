"""Where people keep VOC's annotations: nested, beside the images, under other folders' names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from shards.classes import VOC_CLASSES
from shards.errors import Reason, SourceError
from shards.sources.voc.read import read_voc

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet

CAT = b"<annotation>\n<object><name>cat</name></object>\n</annotation>"


def put(root: Path, *names: str) -> None:
    """Add files; annotations have one cat, the bytes of others do not matter here."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(CAT if name.lower().endswith(".xml") else b"x")


def paths(found: AnnotatedSet) -> list[str]:
    return [sample.path for sample in found.samples]


def rejections(found: AnnotatedSet) -> list[tuple[str, Reason]]:
    return [(one.path, one.fault.reason) for one in found.rejected]


def test_nested(tmp_path: Path) -> None:
    """Images below folders of JPEGImages/ belong to the annotations below the same folders.

    Equal file names in two folders are two images.
    """
    for stem in ("a", "cam1/a", "cam1/b", "cam2/deep/er/a", "cam.3/c.d"):
        put(tmp_path, f"JPEGImages/{stem}.jpg", f"Annotations/{stem}.xml")
    put(tmp_path, "JPEGImages/cam1/bare.jpg", "Annotations/cam2/lost.xml")
    found = read_voc(tmp_path)
    assert paths(found) == sorted(
        f"JPEGImages/{stem}.jpg"
        for stem in ("a", "cam1/a", "cam1/b", "cam2/deep/er/a", "cam.3/c.d")
    )
    assert rejections(found) == [
        ("JPEGImages/cam1/bare.jpg", Reason.NOT_ANNOTATED),
        ("JPEGImages/cam2/lost.jpg", Reason.MISSING),
    ]
    assert found.vocabulary == VOC_CLASSES


def test_links_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    """A folder of images that is a link is read; one that leads back up does not go on for ever."""
    put(tmp_path / "disk", "a.jpg")
    put(tmp_path / "set", "JPEGImages/b.jpg", "Annotations/b.xml", "Annotations/cam/a.xml")
    (tmp_path / "set/JPEGImages/cam").symlink_to(tmp_path / "disk")
    (tmp_path / "set/Annotations/up").symlink_to(tmp_path / "set/Annotations")
    (tmp_path / "set/JPEGImages/self.jpg").symlink_to("self.jpg")
    assert paths(read_voc(tmp_path / "set")) == ["JPEGImages/b.jpg", "JPEGImages/cam/a.jpg"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe among the annotations is no annotation: its image has none."""
    put(tmp_path, "JPEGImages/a.jpg", "JPEGImages/b.jpg", "Annotations/a.xml")
    os.mkfifo(tmp_path / "Annotations/b.xml")
    found = read_voc(tmp_path)
    assert (paths(found), rejections(found)) == (
        ["JPEGImages/a.jpg"],
        [("JPEGImages/b.jpg", Reason.NOT_ANNOTATED)],
    )


def test_a_huge_annotation_is_one_rejection(tmp_path: Path) -> None:
    """An annotation of a gigabyte is not read: one bad annotation, the rest goes on."""
    put(tmp_path, "JPEGImages/a.jpg", "JPEGImages/b.jpg", "Annotations/a.xml", "Annotations/b.xml")
    os.truncate(tmp_path / "Annotations/b.xml", 1 << 30)
    found = read_voc(tmp_path)
    assert paths(found) == ["JPEGImages/a.jpg"]
    assert rejections(found) == [("JPEGImages/b.jpg", Reason.BAD_ANNOTATION)]
    assert "64 MiB" in found.rejected[0].fault.detail


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ("images", "annotations"),
        ("Images", "Annotations"),
        ("JPEGImages", "xmls"),
        ("imgs", "xml"),
        ("images", "annotations/xmls"),
    ],
)
def test_other_names_of_the_two_folders(tmp_path: Path, images: str, annotations: str) -> None:
    """images/ and annotations/ are read like JPEGImages/ and Annotations/; they are no VOC tree."""
    put(tmp_path, f"{images}/a.jpg", f"{annotations}/a.xml")
    found = read_voc(tmp_path)
    assert paths(found) == [f"{images}/a.jpg"]
    assert found.vocabulary is None


def test_annotations_beside_images(tmp_path: Path) -> None:
    """One flat folder with x.jpg and x.xml is a set, with what lacks the other rejected."""
    put(tmp_path, "x.jpg", "x.xml", "y.PNG", "y.xml", "z.jpg", "w.xml", "notes.txt", "data.yaml")
    found = read_voc(tmp_path)
    assert paths(found) == ["x.jpg", "y.PNG"]
    assert rejections(found) == [("w.jpg", Reason.MISSING), ("z.jpg", Reason.NOT_ANNOTATED)]
    assert found.splits == {}
    assert found.vocabulary is None
    assert found.notes == (
        "ignored, neither images nor annotations: 1 .txt, 1 .yaml; first: data.yaml",
    )


ROBOFLOW = (
    *("train/a.jpg", "train/a.xml", "train/b.jpg", "train/b.xml", "valid/a.jpg", "valid/a.xml"),
    *("test/c.jpg", "test/c.xml", "README.roboflow.txt"),
)


def test_roboflow(tmp_path: Path) -> None:
    """train/, valid/ and test/ with annotations beside the images are the splits."""
    put(tmp_path, *ROBOFLOW)
    found = read_voc(tmp_path)
    assert paths(found) == ["test/c.jpg", "train/a.jpg", "train/b.jpg", "valid/a.jpg"]
    assert found.splits == {
        "train": {"train/a.jpg", "train/b.jpg"},
        "val": {"valid/a.jpg"},
        "test": {"test/c.jpg"},
    }
    assert found.rejected == ()


def test_an_image_outside_of_the_folders_of_splits(tmp_path: Path) -> None:
    """Where an image lies outside of them, the folders do not say which split it is in: none do."""
    put(tmp_path, *ROBOFLOW, "more.jpg", "more.xml")
    found = read_voc(tmp_path)
    assert len(found.samples) == 5
    assert found.splits == {}
    assert any(
        "annotated images are in no split folder, such as more.jpg" in note for note in found.notes
    )


@pytest.mark.parametrize("inner", [("JPEGImages", "Annotations"), ("images", "annotations")])
def test_folders_of_splits_with_two_folders_each(tmp_path: Path, inner: tuple[str, str]) -> None:
    """train/JPEGImages and train/Annotations, and so on: the folder's name is the split."""
    images, annotations = inner
    for split in ("train", "Validation"):
        put(tmp_path, f"{split}/{images}/a.jpg", f"{split}/{annotations}/a.xml")
    found = read_voc(tmp_path)
    assert found.splits == {
        "train": {f"train/{images}/a.jpg"},
        "val": {f"Validation/{images}/a.jpg"},
    }


def test_splits_below_the_two_folders(tmp_path: Path) -> None:
    """images/train/a.jpg with annotations/train/a.xml: the folder's name is the split."""
    for split in ("train", "val"):
        put(tmp_path, f"images/{split}/a.jpg", f"annotations/{split}/a.xml")
    assert read_voc(tmp_path).splits == {
        "train": {"images/train/a.jpg"},
        "val": {"images/val/a.jpg"},
    }


def test_lists_outrank_folders(tmp_path: Path) -> None:
    """Where ImageSets/Main has lists, the names of folders do not count."""
    for split in ("train", "val"):
        put(tmp_path, f"JPEGImages/{split}/a.jpg", f"Annotations/{split}/a.xml")
    put(tmp_path, "ImageSets/Main/train.txt")
    (tmp_path / "ImageSets/Main/train.txt").write_text("val/a\n")
    assert read_voc(tmp_path).splits == {"train": {"JPEGImages/val/a.jpg"}}


def test_what_is_left_aside_is_told(tmp_path: Path) -> None:
    """Files that are neither, and annotated folders that are not read, are counted and named."""
    put(
        tmp_path,
        *("VOC2012/JPEGImages/a.jpg", "VOC2012/JPEGImages/a.txt", "VOC2012/JPEGImages/b.txt"),
        *("VOC2012/JPEGImages/Thumbs.db", "VOC2012/Annotations/a.xml"),
        *("VOC2012/Annotations/a.json", "extra/JPEGImages/b.jpg", "extra/Annotations/b.xml"),
        *("flat/c.jpg", "flat/c.xml", "docs/readme.xml", "docs/logo.jpg"),
    )
    found = read_voc(tmp_path)
    assert paths(found) == ["VOC2012/JPEGImages/a.jpg"]
    notes = "\n".join(found.notes)
    assert "VOC2012/JPEGImages/: ignored, not images: 2 .txt, 1 .db; first: Thumbs.db" in notes
    assert "VOC2012/Annotations/: ignored, not .xml: 1 .json; first: a.json" in notes
    assert "extra/ is ignored" in notes
    assert "flat/ is ignored" in notes
    assert "docs/" not in notes
    assert all(note.isprintable() for note in found.notes)


def test_lists_in_another_place(tmp_path: Path) -> None:
    """train.txt beside JPEGImages/ is not read, and a note says where it would be."""
    put(tmp_path, "JPEGImages/a.jpg", "Annotations/a.xml", "train.txt", "labels.txt")
    found = read_voc(tmp_path)
    assert found.splits == {}
    assert found.notes == ("ignored: train.txt; lists are read from ImageSets/Main/",)


def test_places_of_classes(tmp_path: Path) -> None:
    """Each class tells the annotation and the line where it stands first, by path."""
    put(tmp_path, "VOC2007/JPEGImages/b.jpg", "VOC2007/Annotations/b.xml")
    put(tmp_path, "VOC2012/JPEGImages/a.jpg", "VOC2012/Annotations/a.xml")
    assert read_voc(tmp_path).places == {"cat": "VOC2007/Annotations/b.xml, line 2"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            ("images/a.jpg", "annotations/instances.json"),
            r"`coco=\['\S+/annotations/instances\.json'\]`",
        ),
        (("a.jpg", "labels.csv"), r"`labels='\S+/labels\.csv'`"),
        (("images/a.jpg", "labels/a.txt"), r"YOLO's labels also need a data\.yaml"),
        (("images/a.jpg", "labels/a.txt", "classes.txt", "notes.json"), "lines of classes.txt"),
        (("data-00000-of-00001.arrow", "state.json"), "save_to_disk"),
        (("pets.zip",), r"There is pets\.zip: unpack it"),
        (
            ("cat/a.jpg", "dog/b.jpg"),
            r"no JPEGImages/ and Annotations/.*`labels='FILE.csv'`.*`coco=",
        ),
        (("VOCdevkit/VOC2012/JPEGImages/a.jpg",), "one folder deeper. Give .*/VOCdevkit"),
        (("my/JPEGImages/a.jpg", "my/Annotations/a.xml"), "one folder deeper. Give .*/my"),
        (("a.jpg", "a.jpg.aux.xml"), "no .xml beside images"),
    ],
)
def test_other_layouts_are_named(tmp_path: Path, files: tuple[str, ...], said: str) -> None:
    """A folder of another layout is refused with what it holds and the way to give it."""
    put(tmp_path, *files)
    with pytest.raises(SourceError, match=said) as caught:
        read_voc(tmp_path)
    assert "\n" not in str(caught.value)
