"""Labels from CVAT, written by hand as docs.cvat.ai/docs/dataset_management/formats/xml_format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shards.errors import Reason, SourceError
from shards.sources.cvat.read import read_cvat
from shards.sources.registry import SOURCES
from shards.sources.source import Request, Tree

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet

META = """
  <meta>
    <task>
      <id>4</id><name>pets</name><size>3</size><mode>annotation</mode>
      <labels>
        <label><name>dog</name><color>#c06060</color><type>any</type>
          <attributes><attribute><name>age</name><values>1\n2</values></attribute></attributes>
        </label>
        <label><name>cat</name><type>any</type><attributes></attributes></label>
        <label><name>person</name><type>skeleton</type></label>
        <label><name>nose</name><type>points</type><parent>person</parent></label>
      </labels>
      <owner><username>me</username><email>me@example.com</email></owner>
    </task>
    <dumped>2023-03-01 10:00:00</dumped>
  </meta>
"""
BOX = '<box label="{}" occluded="0" source="manual" xtl="1" ytl="2" xbr="3" ybr="4" z_order="0"/>'


def image(name: str, inside: str = "", **attributes: str) -> str:
    """One <image>."""
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<image id="0" name="{name}" width="20" height="16"{more}>{inside}</image>\n'


def write(root: Path, body: str | bytes, *images: str, meta: str = META) -> Path:
    """Write annotations.xml and empty images."""
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    file = root / "annotations.xml"
    if isinstance(body, str):
        head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>'
        body = f"{head}{meta}{body}</annotations>\n".encode()
    file.write_bytes(body)
    return file


def read(root: Path, body: str | bytes, *images: str, meta: str = META) -> AnnotatedSet:
    """Read an annotations.xml about empty images."""
    return read_cvat(root, write(root, body, *images, meta=meta))


def labels(found: AnnotatedSet) -> dict[str, tuple[str, ...]]:
    """The classes that are present, by path."""
    return {sample.path: sample.present for sample in found.samples}


def test_tags_and_shapes(tmp_path: Path) -> None:
    """Each label counts once, by tag or shape; parts of a skeleton are not objects."""
    skeleton = (
        '<skeleton label="person" source="manual" z_order="0">'
        '<points label="nose" outside="0" occluded="0" points="1.0,2.0"/></skeleton>'
    )
    aged = '<tag label="dog" source="manual"><attribute name="age">2</attribute></tag>'
    body = (
        image("a.jpg", BOX.format("cat") * 2 + aged)
        + image("b.jpg", '<polygon label="dog" points="1,2;3,4;5,6" z_order="0"/>' + skeleton)
        + image("c.jpg")
    )
    found = read(tmp_path, body, "a.jpg", "b.jpg", "c.jpg")
    assert labels(found) == {"a.jpg": ("cat", "dog"), "b.jpg": ("dog", "person"), "c.jpg": ()}
    assert found.classes == ("dog", "cat", "person")
    assert dict(found.splits) == {}
    assert found.notes == ("annotations.xml: 1 attribute ignored: age",)


def test_subsets_are_splits(tmp_path: Path) -> None:
    """A project's images lie in images/SUBSET/; two tasks may have images of one name."""
    body = (
        image("a.jpg", BOX.format("cat"), subset="Train", task_id="1")
        + image("a.jpg", BOX.format("dog"), subset="Validation", task_id="2")
        + image("b.jpg", subset="default")
    )
    places = "images/Train/a.jpg", "images/Validation/a.jpg", "images/default/b.jpg"
    found = read(tmp_path, body, *places)
    assert labels(found) == dict(zip(places, [("cat",), ("dog",), ()], strict=True))
    assert found.splits == {"train": {places[0]}, "val": {places[1]}}
    assert found.notes == ("annotations.xml: 1 image in subsets that are not splits: default",)


def test_a_task_has_its_images_in_one_folder(tmp_path: Path) -> None:
    """The images of a task's export lie in images/, with the folders of their names."""
    found = read(tmp_path, image("pets/a.jpg", BOX.format("cat")), "images/pets/a.jpg")
    assert labels(found) == {"images/pets/a.jpg": ("cat",)}


def test_a_missing_image_is_rejected(tmp_path: Path) -> None:
    """It is listed with the line of its element."""
    found = read(tmp_path, image("a.jpg") + image("gone.jpg"), "a.jpg")
    (bad,) = found.rejected
    assert (bad.path, bad.fault.reason) == ("gone.jpg", Reason.MISSING)
    assert "named in annotations.xml, line 21" in bad.fault.detail


def test_images_that_are_not_named_are_counted(tmp_path: Path) -> None:
    """The source says how many there are."""
    write(tmp_path, image("a.jpg"), "a.jpg", "b.jpg", "c.jpg")
    found = SOURCES["cvat"].read(Tree(tmp_path), Request())
    assert found.notes == ("ignored, not named in annotations.xml: 2 images; first: b.jpg",)


def test_without_declared_labels(tmp_path: Path) -> None:
    """A file without <labels> has the classes that occur."""
    found = read(tmp_path, image("a.jpg", BOX.format("x")), "a.jpg", meta="")
    assert (found.classes, labels(found)) == (None, {"a.jpg": ("x",)})


TRACK = '<track id="0" label="cat"><box frame="0" xtl="1" ytl="2" xbr="3" ybr="4"/></track>'
BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><annotations/>'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (TRACK, "line 20: 'CVAT for video', whose tracks name no images. Export the task as"),
        ("", "no <image> in it"),
        (b"", "line 1: not XML: no element found"),
        (b"<annotations><image name='a.jpg'>", "not XML"),
        (b"<annotation/>", "the root is <annotation>, not <annotations>"),
        (BOMB.encode(), "declares a document type"),
        (b"<?xml version='1.0' encoding='none'?><annotations/>", "unknown encoding"),
        (b"<annotations>\xff</annotations>", "not UTF-8"),
        (image(""), "an <image> without a name"),
        (image("a.jpg", "<box/>"), "a <box> without a label"),
        (image("a.jpg", '<blob label="cat"/>'), "an unknown shape <blob>"),
        (image("a.jpg", BOX.format("yak")), "image a.jpg has the label 'yak', which <labels>"),
        (image("gone.jpg"), "the path matches no file"),
        (image("../a.jpg"), "is not inside"),
        (
            image("a.jpg", subset="Train") + image("a.jpg", subset="Test"),
            "line 21: image a.jpg of subset 'Test', and that of subset 'Train' (line 20), both",
        ),
    ],
)
def test_bad_files(tmp_path: Path, body: str | bytes, why: str) -> None:
    """Each is one line that names the file and what is wrong."""
    with pytest.raises(SourceError) as caught:
        read(tmp_path, body, "a.jpg")
    assert str(tmp_path / "annotations.xml") in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
