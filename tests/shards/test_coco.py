"""Labels from COCO instances."""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from shards.classes import choose_classes
from shards.errors import Reason, SourceError
from shards.sample import AnnotatedSet, Sample
from shards.sources.coco.read import read_coco
from shards.sources.coco.splits import CocoFile

if TYPE_CHECKING:
    from pathlib import Path


def content() -> dict[str, Any]:
    """A small COCO file: two images with annotations, one without."""
    return {
        "info": {"year": 2017},
        "categories": [
            {"id": 90, "name": "zebra"},
            {"id": 1, "name": "person"},
            {"id": 7, "name": "yak"},
        ],
        "images": [
            {"id": 30, "file_name": "val/b.jpg"},
            {"id": 10, "file_name": "a.jpg"},
            {"id": 20, "file_name": "none.jpg"},
        ],
        "annotations": [
            {"id": 1, "image_id": 30, "category_id": 90, "iscrowd": 0},
            {"id": 2, "image_id": 30, "category_id": 90, "iscrowd": 0},
            {"id": 3, "image_id": 30, "category_id": 1, "iscrowd": 0},
            {"id": 4, "image_id": 10, "category_id": 1, "iscrowd": 1},
        ],
    }


def read(root: Path, value: object) -> AnnotatedSet:
    """Read a COCO file about the three images."""
    (root / "val").mkdir(exist_ok=True)
    for name in ("val/b.jpg", "a.jpg", "none.jpg", "unnamed.jpg"):
        (root / name).touch()
    file = root / "instances.json"
    file.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return read_coco(root, [CocoFile(file)])


def test_samples(tmp_path: Path) -> None:
    """Categories are present once each, crowds count, no annotation is no label.

    Files that the JSON does not name are left aside.
    """
    found = read(tmp_path, content())
    assert found.samples == (
        Sample("a.jpg", ("person",)),
        Sample("none.jpg", ()),
        Sample("val/b.jpg", ("person", "zebra")),
    )
    assert (found.rejected, found.splits) == ((), {})


def test_categories_are_the_classes(tmp_path: Path) -> None:
    """The categories are the classes, in their order, with and without images."""
    found = read(tmp_path, content())
    assert found.classes == ("zebra", "person", "yak")
    assert choose_classes(found.names(), None, found.classes) == ("zebra", "person", "yak")


def test_ids_may_be_text(tmp_path: Path) -> None:
    """Ids that are texts work, and annotations need no id of their own."""
    value = {
        "categories": [{"id": "z", "name": "zebra"}],
        "images": [{"id": "one", "file_name": "a.jpg"}],
        "annotations": [{"image_id": "one", "category_id": "z"}] * 2,
    }
    assert read(tmp_path, value).samples == (Sample("a.jpg", ("zebra",)),)


def test_missing(tmp_path: Path) -> None:
    """An image that is not there is rejected with its id; the rest goes on."""
    value = content()
    value["images"][1]["file_name"] = "gone.jpg"
    found = read(tmp_path, value)
    assert [sample.path for sample in found.samples] == ["none.jpg", "val/b.jpg"]
    (rejection,) = found.rejected
    assert (rejection.path, rejection.fault.reason) == ("gone.jpg", Reason.MISSING)
    assert "image 10" in rejection.fault.detail


@pytest.mark.parametrize(
    ("where", "change", "said"),
    [
        (("images", 1), {"id": 30}, "images: id 30 appears twice"),
        (("images", 1), {"file_name": "../a.jpg"}, "image 10: path '../a.jpg' is not inside"),
        (("images", 1), {"id": True}, "images[1]: id is True"),
        (("images", 1), {"id": 1.5}, "images[1]: id is 1.5"),
        (("images", 1), {"file_name": None}, "images, id 10: file_name is None"),
        (("images", 1), {"id": [1]}, "images[1]: id is [1]"),
        (("categories", 2), {"id": 1}, "categories: id 1 appears twice"),
        (("categories", 2), {"name": "zebra"}, "ids 90 and 7 have the same name 'zebra'"),
        (("annotations", 3), {"image_id": 99}, "annotation 4: no image has the id 99"),
        (("annotations", 3), {"category_id": 5}, "annotation 4: no category has the id 5"),
        (("annotations", 3), {"category_id": None}, "annotation 4: category_id is None"),
        (("annotations", 3), {"image_id": "x"}, "annotation 4: no image has the id 'x'"),
    ],
)
def test_refused(tmp_path: Path, where: tuple[str, int], change: dict[str, Any], said: str) -> None:
    """What comes twice or leads nowhere is refused with the file's name and the id."""
    value = content()
    value[where[0]][where[1]].update(change)
    with pytest.raises(SourceError) as caught:
        read(tmp_path, value)
    assert said in str(caught.value)
    assert "instances.json" in str(caught.value)


def test_ids_of_any_type(tmp_path: Path) -> None:
    """3, 3.0, "3" and "3.0" are one id, whoever writes which; the labels are those of plain ids."""
    rng = random.Random(2)
    plain = content()
    kinds = (int, float, str, lambda number: f"{number}.0", lambda number: f" 0{number}")
    for _ in range(20):
        mixed = json.loads(json.dumps(plain))
        for entry in (*mixed["images"], *mixed["categories"]):
            entry["id"] = rng.choice(kinds)(entry["id"])
        for entry in mixed["annotations"]:
            entry["image_id"] = rng.choice(kinds)(entry["image_id"])
            entry["category_id"] = rng.choice(kinds)(entry["category_id"])
        assert read(tmp_path, mixed).samples == read(tmp_path, plain).samples


def test_ids_of_two_types_that_differ(tmp_path: Path) -> None:
    """Where both 1 and "1" are images, each annotation means the one of its own type."""
    value = content()
    value["images"][0]["id"], value["images"][1]["id"] = 1, "1"
    value["annotations"] = [
        {"image_id": 1, "category_id": 90},
        {"image_id": "1", "category_id": "1"},
    ]
    found = {sample.path: sample.present for sample in read(tmp_path, value).samples}
    assert found == {"val/b.jpg": ("zebra",), "a.jpg": ("person",), "none.jpg": ()}
    value["images"][0]["id"], value["images"][1]["id"] = "01", "001"
    with pytest.raises(SourceError, match=r"annotations\[0\]: no image has the id 1"):
        read(tmp_path, value)


def test_annotations_need_no_id_of_their_own(tmp_path: Path) -> None:
    """Ids of annotations that come again, or are none, change nothing; a note counts the first."""
    value = content()
    for entry, one in zip(value["annotations"], (5, 5, None, 5), strict=True):
        entry["id"] = one
    found = read(tmp_path, value)
    assert found.samples == read(tmp_path, content()).samples
    assert found.notes == ("instances.json: 2 annotations with the id of an earlier one",)


def roboflow(name: str, *, annotated: bool = False) -> dict[str, Any]:
    """Roboflow's export: a category of id 0 that heads the others."""
    value = content()
    for entry in value["categories"]:
        entry["supercategory"] = name
    value["categories"].insert(0, {"id": 0, "name": name, "supercategory": "none"})
    if annotated:
        value["annotations"].append({"id": 9, "image_id": 20, "category_id": 0})
    return value


def test_a_category_that_heads_the_others(tmp_path: Path) -> None:
    """Roboflow's first category is no class, not even with the name of one; a note says so."""
    for name in ("animals", "zebra"):
        found = read(tmp_path, roboflow(name))
        assert found.classes == ("zebra", "person", "yak")
        assert found.samples == read(tmp_path, content()).samples
        assert found.notes == (
            f"category {name!r} only groups the others (supercategory 'none'): ignored",
        )


def test_a_category_that_has_annotations_is_a_class(tmp_path: Path) -> None:
    """With an annotation, or heading none, a category of supercategory 'none' is a class."""
    found = read(tmp_path, roboflow("animals", annotated=True))
    assert found.classes == ("animals", "zebra", "person", "yak")
    alone = content()
    for entry in alone["categories"]:
        entry["supercategory"] = "none"
    assert read(tmp_path, alone).classes == ("zebra", "person", "yak")
    with pytest.raises(SourceError, match="ids 0 and 90 have the same name 'zebra'"):
        read(tmp_path, roboflow("zebra", annotated=True))


def test_names_with_blanks_and_byte_order_marks(tmp_path: Path) -> None:
    """Blanks around a category's name do not count, nor does a byte order mark."""
    value = content()
    value["categories"][0]["name"] = " zebra\t"
    for data in (b"\xef\xbb\xbf" + json.dumps(value).encode(), json.dumps(value).encode("utf-16")):
        found = read(tmp_path, data)
        assert found.classes == ("zebra", "person", "yak")
        assert found.samples == read(tmp_path, content()).samples


def test_an_image_that_is_listed_twice(tmp_path: Path) -> None:
    """Two entries of one file are one sample with the labels of both; a note counts them."""
    value = content()
    value["images"][2]["file_name"] = "val/../val/b.jpg"
    value["annotations"].append({"image_id": 20, "category_id": 7})
    found = read(tmp_path, value)
    assert found.samples == (
        Sample("a.jpg", ("person",)),
        Sample("val/b.jpg", ("person", "yak", "zebra")),
    )
    counted = "1 image with the file_name of an earlier one, 1 with different labels: merged"
    assert found.notes == (f"instances.json: {counted}",)


def test_file_names_as_tools_write_them(tmp_path: Path) -> None:
    """Percent escapes, backslashes and './' lead to the file."""
    (tmp_path / "a b.jpg").touch()
    value = content()
    for entry, name in zip(value["images"], ("val\\b.jpg", ".\\a.jpg", "a%20b.jpg"), strict=True):
        entry["file_name"] = name
    found = read(tmp_path, value)
    assert [sample.path for sample in found.samples] == ["a b.jpg", "a.jpg", "val/b.jpg"]


def test_no_path_matches(tmp_path: Path) -> None:
    """A file of which no name matches is refused, and says where they would match."""
    value = content()
    for entry in value["images"]:
        entry["file_name"] = f"coco/{entry['file_name']}"
    with pytest.raises(SourceError) as caught:
        read(tmp_path, value)
    assert "none of 3 paths matches a file" in str(caught.value)
    assert "coco/val/b.jpg (image 30)" in str(caught.value)
    assert str(caught.value).endswith("match without 'coco/': remove it from the paths.")
    value["images"] = [{"id": 10, "coco_url": "http://x.org/val/a.jpg"}]
    with pytest.raises(SourceError, match=r"id 10: no file_name, only the URL .*'a\.jpg'"):
        read(tmp_path, value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{"data": {"image": "a.jpg"}, "annotations": []}], "Label Studio"),
        ([{"image_id": 1, "category_id": 1, "score": 0.5}], "a list of detections"),
        ({"_via_img_metadata": {}}, "VGG Image Annotator"),
        ({"items": [], "categories": {}}, "Datumaro"),
        ({"shapes": [], "imagePath": "a.jpg"}, "LabelMe"),
        (b"<?xml version='1.0'?><annotations/>", "It is XML: export it as COCO"),
        (b"PK\x03\x04", "It is an archive: unpack it"),
        (b"path,labels\na.jpg,cat\n", "use `labels`"),
        ({**content(), "annotations": None}, "so its images have no labels (a test-info file?)"),
        ({**content(), "annotations": [{"image_id": 30, "caption": "x"}]}, "captions or panoptic"),
        ({**content(), "images": []}, "the list 'images' is empty"),
        ({**content(), "categories": []}, "the list 'categories' is empty"),
    ],
)
def test_other_formats(tmp_path: Path, value: object, said: str) -> None:
    """The formats of other tools are named, with what to do."""
    with pytest.raises(SourceError) as caught:
        read(tmp_path, value)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'instances.json'}: ")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe as the JSON file is refused at once."""
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(SourceError, match=r"pipe\.json: cannot be read: a named pipe"):
        read_coco(tmp_path, [CocoFile(tmp_path / "pipe.json")])


@pytest.mark.parametrize(
    "value",
    [
        b'{"images": [',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        [],
        {"images": [], "categories": []},
        {**content(), "annotations": [[1, 2]]},
        {**content(), "images": {"id": 1}},
    ],
    ids=["cut short", "no text", "too deep", "a list", "no annotations", "no object", "no list"],
)
def test_not_coco(tmp_path: Path, value: object) -> None:
    """What is not COCO's JSON is refused in one line with the file's name."""
    with pytest.raises(SourceError, match=r"instances\.json: (not|no|the list) ") as caught:
        read(tmp_path, value)
    assert str(caught.value).isprintable()
