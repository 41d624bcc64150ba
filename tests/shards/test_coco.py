"""Labels from COCO instances."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shards.classes import choose_classes
from shards.errors import Reason, SourceError
from shards.sample import AnnotatedSet, Sample
from shards.sources.coco import read_coco

if TYPE_CHECKING:
    from pathlib import Path


def content() -> dict[str, Any]:
    """A small COCO file: two pictures with annotations, one without."""
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
    """Read a COCO file about the three pictures."""
    (root / "val").mkdir(exist_ok=True)
    for name in ("val/b.jpg", "a.jpg", "none.jpg", "unnamed.jpg"):
        (root / name).touch()
    file = root / "instances.json"
    file.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return read_coco(root, file)


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
    """The categories are the classes, in their order, with and without pictures."""
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
    """A picture that is not there is rejected with its id; the rest goes on."""
    value = content()
    value["images"][1]["file_name"] = "gone.jpg"
    found = read(tmp_path, value)
    assert [sample.path for sample in found.samples] == ["none.jpg", "val/b.jpg"]
    (rejection,) = found.rejected
    assert (rejection.path, rejection.reason) == ("gone.jpg", Reason.MISSING)
    assert "image 10" in rejection.detail


@pytest.mark.parametrize(
    ("where", "change", "said"),
    [
        (("images", 1), {"id": 30}, "images: id 30 comes twice"),
        (("images", 1), {"file_name": "val/../val/b.jpg"}, "ids 30 and 10 have the same file_name"),
        (("images", 1), {"file_name": "../a.jpg"}, "image 10: '../a.jpg' is not inside"),
        (("images", 1), {"file_name": None}, "images, id 10: file_name is None"),
        (("images", 1), {"id": [1]}, "images[1]: id is [1]"),
        (("categories", 2), {"id": 1}, "categories: id 1 comes twice"),
        (("categories", 2), {"name": "zebra"}, "ids 90 and 7 have the same name 'zebra'"),
        (("annotations", 3), {"id": 2}, "annotation 2: the id comes twice"),
        (("annotations", 3), {"image_id": 99}, "annotation 4: no image has the id 99"),
        (("annotations", 3), {"category_id": 5}, "annotation 4: no category has the id 5"),
        (("annotations", 3), {"category_id": None}, "annotation 4: category_id is None"),
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
    with pytest.raises(SourceError, match=r"instances\.json: (not|no) ") as caught:
        read(tmp_path, value)
    assert str(caught.value).isprintable()
