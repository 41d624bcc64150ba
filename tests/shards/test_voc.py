"""PASCAL VOC trees, whole and broken."""

from __future__ import annotations

import builtins
import os
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from shards.classes import VOC_CLASSES, encode
from shards.errors import Reason, SourceError
from shards.sample import AnnotatedSet, Sample
from shards.sources.voc.annotation import BadAnnotationError, parse_objects
from shards.sources.voc.read import read_voc


def thing(name: str, difficult: str | None = "0", more: str = "") -> str:
    """One object of an annotation."""
    mark = "" if difficult is None else f"<difficult>{difficult}</difficult>"
    return f"<object>\n<name>{name}</name>{more}\n{mark}</object>\n"


def annotation(*things: str) -> bytes:
    """A whole annotation."""
    return f"<annotation><folder>x</folder>\n{''.join(things)}</annotation>".encode()


def add(root: Path, stem: str, xml: bytes | None = None, *, image: str | None = ".jpg") -> None:
    """Add what belongs to one stem; the image's bytes do not matter here."""
    for folder in ("JPEGImages", "Annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    if image is not None:
        (root / "JPEGImages" / f"{stem}{image}").touch()
    if xml is not None:
        (root / "Annotations" / f"{stem}.xml").write_bytes(xml)


def add_list(root: Path, name: str, data: bytes) -> None:
    """Add a list to ImageSets/Main."""
    folder = root / "ImageSets" / "Main"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_bytes(data)


def rejections(found: AnnotatedSet) -> list[tuple[str, Reason]]:
    """What was rejected and why, without the details."""
    return [(rejection.path, rejection.fault.reason) for rejection in found.rejected]


def by_tree(file: Path) -> Sample:
    """Another reader of an annotation, to compare with: the standard library's tree."""
    flags: dict[str, list[bool]] = {}
    for item in ET.parse(file).getroot().findall("object"):
        flag = item.findtext("difficult", "0").strip() == "1"
        flags.setdefault(item.findtext("name", "").strip(), []).append(flag)
    return Sample(
        f"JPEGImages/{file.stem}.jpg",
        tuple(sorted(name for name, hard in flags.items() if not all(hard))),
        tuple(sorted(name for name, hard in flags.items() if all(hard))),
    )


def test_drawn_tree_against_element_tree(voc_tree: Path) -> None:
    """Every sample of the drawn tree is what xml.etree finds in its annotation."""
    found = read_voc(voc_tree)
    assert found.samples == tuple(map(by_tree, sorted((voc_tree / "Annotations").iterdir())))
    assert len(found.samples) == 48
    assert found.rejected == ()
    assert any(sample.difficult for sample in found.samples)


def test_real_tree_against_element_tree(voc_data: Path) -> None:
    """The real annotations: 100 images, 20 classes, 1.64 an image, 45 with two or more."""
    folder = voc_data / "voc2012-100"
    found = read_voc(folder)
    files = sorted((folder / "Annotations").iterdir())
    assert found.samples == tuple(map(by_tree, files))
    assert (found.rejected, found.splits) == ((), {})
    counts = [len(sample.present) + len(sample.difficult) for sample in found.samples]
    assert len(counts) == 100
    assert found.names() == set(VOC_CLASSES)
    assert sum(counts) / 100 == pytest.approx(1.64)
    assert sum(count >= 2 for count in counts) == 45
    objects = [one for file in files for one in parse_objects(file.read_bytes())]
    assert sum(one.difficult for one in objects) == 38


def test_lists_of_single_classes_agree(voc_tree: Path) -> None:
    """`<class>_<split>.txt` says what the annotations say: 1 is 1, -1 is 0, 0 is only difficult."""
    found = read_voc(voc_tree)
    labels = {Path(s.path).stem: encode(s, VOC_CLASSES) for s in found.samples}
    meaning = {"1": 1, "-1": 0, "0": -1}
    seen: Counter[str] = Counter()
    for split, paths in found.splits.items():
        for column, name in enumerate(VOC_CLASSES):
            file = voc_tree / "ImageSets" / "Main" / f"{name}_{split}.txt"
            rows = [line.split() for line in file.read_text().splitlines()]
            assert {f"JPEGImages/{stem}.jpg" for stem, _ in rows} == paths
            for stem, value in rows:
                assert labels[stem][column] == meaning[value], (stem, name)
                seen[value] += 1
    assert min(seen[value] for value in meaning) > 0


def test_difficult(tmp_path: Path) -> None:
    """One ordinary object makes a class present; only difficult where all are; missing means 0."""
    xml = annotation(
        thing("cat", "1"),
        thing("cat", "0"),
        thing("dog", "1"),
        thing("dog", " 1 "),
        thing("cow", None),
    )
    add(tmp_path, "a", xml)
    assert read_voc(tmp_path).samples == (Sample("JPEGImages/a.jpg", ("cat", "cow"), ("dog",)),)


def test_parts_are_no_classes(tmp_path: Path) -> None:
    """The names of an object's parts, and whether they are difficult, do not count.

    Nor do those of the attributes that CVAT adds, or of the photograph's owner.
    """
    part = "<part><name>head</name><difficult>1</difficult></part>"
    attributes = "<attributes><attribute><name>rotation</name></attribute></attributes>"
    owner = "<owner><name>Kim</name></owner>"
    add(tmp_path, "a", annotation(owner, thing("person", more=part + attributes)))
    assert read_voc(tmp_path).samples == (Sample("JPEGImages/a.jpg", ("person",)),)


def test_no_objects(tmp_path: Path) -> None:
    """An annotation without objects is a sample without labels."""
    add(tmp_path, "a", b"<annotation/>")
    assert read_voc(tmp_path).samples == (Sample("JPEGImages/a.jpg", ()),)


BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE bomb [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>
<annotation><object><name>&b;</name></object></annotation>"""


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (BOMB, "line 2: declares a document type"),
        (b'<!DOCTYPE annotation SYSTEM "x.dtd"><annotation/>', "line 1: declares"),
        (b"<annotation>\n<object>\n</annotation>", "line 3: mismatched tag"),
        (b"", "line 1: no element found"),
        (b"\x89PNG\r\n", "line 1: not well-formed"),
        (b"<annotation><object><name>\xff</name></object></annotation>", "line 1: not well-formed"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "unknown encoding: klingon"),
        (b'<?xml version="1.0" encoding="big5"?><annotation>\xff</annotation>', "'big5' codec"),
        (b"<html></html>", "line 1: the root is <html>"),
        (annotation(thing("cat", "2")), "line 4: <difficult> is '2', not 0 or 1"),
        (annotation(thing("cat", "perhaps")), "line 4: <difficult> is 'perhaps', not 0 or 1"),
        (annotation(thing("cat", more=thing("dog"))), "line 3: an <object> inside another one"),
        (annotation("<bndbox><xmin>1</xmin></bndbox>"), "line 2: a <bndbox> outside of any"),
        (annotation("<item><name>cat</name><bndbox/></item>"), "line 2: a <bndbox> outside of"),
        (annotation("<name>cat</name>"), "line 2: a <name> outside of any <object>"),
        (annotation(thing(" ")), "line 4: an object without a <name>"),
        (annotation("<object/>"), "line 2: an object without a <name>"),
        (annotation(thing("cat", more="<name>dog</name>")), "line 3: an object with two <name>"),
    ],
)
def test_bad_annotation(tmp_path: Path, xml: bytes, said: str) -> None:
    """A broken or dangerous annotation is rejected with its name and line; the rest goes on."""
    add(tmp_path, "bad", xml)
    add(tmp_path, "good", annotation(thing("cat")))
    found = read_voc(tmp_path)
    assert [sample.path for sample in found.samples] == ["JPEGImages/good.jpg"]
    assert rejections(found) == [("JPEGImages/bad.jpg", Reason.BAD_ANNOTATION)]
    detail = found.rejected[0].fault.detail
    assert detail.startswith("Annotations/bad.xml, ")
    assert said in detail
    assert detail.isprintable()


def test_deep_annotation() -> None:
    """Nesting a hundred thousand deep does not run out of stack."""
    with pytest.raises(BadAnnotationError):
        parse_objects(b"<annotation>" + b"<a>" * 100_000)


def test_unreadable_annotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An annotation that the system will not hand over is a bad annotation, not the end."""
    add(tmp_path, "a", annotation())

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(builtins, "open", fail)
    found = read_voc(tmp_path)
    assert rejections(found) == [("JPEGImages/a.jpg", Reason.BAD_ANNOTATION)]
    assert "Input/output error" in found.rejected[0].fault.detail


def test_missing_and_not_annotated(tmp_path: Path) -> None:
    """An annotation without an image is MISSING, an image without one NOT_ANNOTATED."""
    add(tmp_path, "no_image", annotation(thing("cat")), image=None)
    add(tmp_path, "no_xml", image=".png")
    (tmp_path / "JPEGImages" / "folder.jpg").mkdir()
    add(tmp_path, "folder", annotation(), image=None)
    found = read_voc(tmp_path)
    assert found.samples == ()
    assert rejections(found) == [
        ("JPEGImages/folder.jpg", Reason.MISSING),
        ("JPEGImages/no_image.jpg", Reason.MISSING),
        ("JPEGImages/no_xml.png", Reason.NOT_ANNOTATED),
    ]
    assert "Annotations/no_xml.xml does not exist" in found.rejected[2].fault.detail


def test_other_suffixes(tmp_path: Path) -> None:
    """An image of any known kind, in any case, belongs to the annotation of its stem."""
    for stem, suffix in (("a", ".JPG"), ("b", ".png"), ("c", ".WebP"), ("d", ".jpeg")):
        add(tmp_path, stem, annotation(), image=suffix)
    paths = [sample.path for sample in read_voc(tmp_path).samples]
    assert paths == [f"JPEGImages/{name}" for name in ("a.JPG", "b.png", "c.WebP", "d.jpeg")]


def test_jpg_comes_first(tmp_path: Path) -> None:
    """Where STEM.jpg is there it is meant; the image beside it has no annotation, visibly."""
    add(tmp_path, "a", annotation(thing("cat")))
    add(tmp_path, "a", image=".png")
    found = read_voc(tmp_path)
    assert found.samples == (Sample("JPEGImages/a.jpg", ("cat",)),)
    assert rejections(found) == [("JPEGImages/a.png", Reason.NOT_ANNOTATED)]
    assert "belongs to a.jpg" in found.rejected[0].fault.detail


def test_two_images_one_stem(tmp_path: Path) -> None:
    """Two images that could both be meant are one bad annotation that names both."""
    add(tmp_path, "a", annotation(thing("cat")), image=".png")
    add(tmp_path, "a", image=".JPG")
    found = read_voc(tmp_path)
    assert found.samples == ()
    assert rejections(found) == [("JPEGImages/a.JPG", Reason.BAD_ANNOTATION)]
    assert "a.JPG, a.png" in found.rejected[0].fault.detail


def test_two_annotations_one_stem(tmp_path: Path) -> None:
    """Two annotations of one image are a bad annotation that names both."""
    add(tmp_path, "a", annotation(thing("cat")))
    (tmp_path / "Annotations" / "a.XML").write_bytes(annotation(thing("dog")))
    found = read_voc(tmp_path)
    assert found.samples == ()
    assert "a.XML, a.xml" in found.rejected[0].fault.detail


@pytest.mark.parametrize(
    "stem", ["a b", "a.b.c", "'", '"a"', "Kühe 猫", "a\nb", "\udcff", "-", "%s", "a;b"]
)
def test_odd_names(tmp_path: Path, stem: str) -> None:
    """Blanks, dots, quotes, line ends and bytes that are no text are names like others."""
    add(tmp_path, stem, annotation(thing("cat")))
    add(tmp_path, f"{stem}2", image=".jpg")
    add(tmp_path, f"{stem}3", b"<")
    found = read_voc(tmp_path)
    assert found.samples == (Sample(f"JPEGImages/{stem}.jpg", ("cat",)),)
    assert rejections(found) == [
        (f"JPEGImages/{stem}2.jpg", Reason.NOT_ANNOTATED),
        (f"JPEGImages/{stem}3.jpg", Reason.BAD_ANNOTATION),
    ]
    assert all(rejection.fault.detail.isprintable() for rejection in found.rejected)


def test_ids_with_odd_names(tmp_path: Path) -> None:
    """A list may name files with blanks, dots and bytes that are no text."""
    stems = ["a b", "a.b.c", "Kühe", "\udcff"]
    for stem in stems:
        add(tmp_path, stem, annotation())
    add_list(tmp_path, "train", b"".join(os.fsencode(stem) + b"\n" for stem in stems))
    found = read_voc(tmp_path)
    assert found.splits == {"train": {f"JPEGImages/{stem}.jpg" for stem in stems}}
    assert found.rejected == ()


def test_other_files_are_left_aside(tmp_path: Path) -> None:
    """Hidden files and files that are no images are neither samples nor rejections."""
    add(tmp_path, "a", annotation())
    for name in (".DS_Store", "._a.jpg", "Thumbs.db", "notes.txt"):
        (tmp_path / "JPEGImages" / name).touch()
    for name in ("._a.xml", "a.txt"):
        (tmp_path / "Annotations" / name).touch()
    found = read_voc(tmp_path)
    assert [sample.path for sample in found.samples] == ["JPEGImages/a.jpg"]
    assert found.rejected == ()


def test_lists(tmp_path: Path) -> None:
    """CRLF, trailing blanks, repeated ids and a byte order mark are put up with.

    Lists of other names are not read.
    """
    for stem in ("a", "b", "c"):
        add(tmp_path, stem, annotation())
    add_list(tmp_path, "train", b"\xef\xbb\xbfa\r\nb  \r\n\r\na\n")
    add_list(tmp_path, "val", b"c")
    add_list(tmp_path, "cat_train", b"a  1\nz -1\n")
    found = read_voc(tmp_path)
    assert found.splits == {
        "train": {"JPEGImages/a.jpg", "JPEGImages/b.jpg"},
        "val": {"JPEGImages/c.jpg"},
    }
    assert found.rejected == ()


def test_lists_and_rejections(tmp_path: Path) -> None:
    """An id with neither file is MISSING, once, with its lists; rejected images are in none."""
    add(tmp_path, "good", annotation())
    add(tmp_path, "bad", b"<")
    add(tmp_path, "no_xml")
    add(tmp_path, "no_image", annotation(), image=None)
    everything = b"good\nbad\nno_xml\nno_image\nghost\n"
    add_list(tmp_path, "train", everything)
    add_list(tmp_path, "trainval", everything)
    found = read_voc(tmp_path)
    good = frozenset({"JPEGImages/good.jpg"})
    assert found.splits == {"train": good, "trainval": good}
    assert rejections(found) == [
        ("JPEGImages/bad.jpg", Reason.BAD_ANNOTATION),
        ("JPEGImages/ghost.jpg", Reason.MISSING),
        ("JPEGImages/no_image.jpg", Reason.MISSING),
        ("JPEGImages/no_xml.jpg", Reason.NOT_ANNOTATED),
    ]
    detail = found.rejected[1].fault.detail
    assert "ImageSets/Main/train.txt, ImageSets/Main/trainval.txt" in detail


def test_devkit(tmp_path: Path) -> None:
    """The years of a VOCdevkit are one set, lists too; a year alone has shorter paths."""
    for year, stem, lists in (
        ("VOC2012", "x", ("train", "val")),
        ("VOC2007", "y", ("train", "test")),
    ):
        add(tmp_path / year, stem, annotation(thing("cat")))
        for name in lists:
            add_list(tmp_path / year, name, f"{stem}\n".encode())
    add_list(tmp_path / "VOC2007", "val", b"ghost\n")
    (tmp_path / "devkit_doc").mkdir()
    found = read_voc(tmp_path)
    x, y = "VOC2012/JPEGImages/x.jpg", "VOC2007/JPEGImages/y.jpg"
    assert [sample.path for sample in found.samples] == [y, x]
    assert found.splits == {"train": {x, y}, "val": {x}, "test": {y}}
    assert rejections(found) == [("VOC2007/JPEGImages/ghost.jpg", Reason.MISSING)]
    assert "VOC2007/ImageSets/Main/val.txt" in found.rejected[0].fault.detail
    assert [s.path for s in read_voc(tmp_path / "VOC2012").samples] == ["JPEGImages/x.jpg"]


def test_other_layouts(tmp_path: Path) -> None:
    """A folder of another layout, and an incomplete year, are refused by name."""
    with pytest.raises(SourceError, match=r"no JPEGImages/ and Annotations/.*`labels="):
        read_voc(tmp_path)
    add(tmp_path / "VOC2012", "x", annotation())
    (tmp_path / "VOC2007" / "JPEGImages").mkdir(parents=True)
    with pytest.raises(SourceError, match="VOC2007: lacks"):
        read_voc(tmp_path)
    with pytest.raises(SourceError, match="nowhere: cannot be listed: No such file"):
        read_voc(tmp_path / "nowhere")


def test_order(tmp_path: Path) -> None:
    """Samples and rejections are sorted by path (code points), however the folder lists them."""
    rng = np.random.default_rng(0)
    for number in rng.permutation(40):
        add(tmp_path, f"{number}", annotation() if number % 2 else None)
    found = read_voc(tmp_path)
    paths = [sample.path for sample in found.samples]
    assert paths == sorted(f"JPEGImages/{number}.jpg" for number in range(1, 40, 2))
    rejected = [rejection.path for rejection in found.rejected]
    assert rejected == sorted(f"JPEGImages/{number}.jpg" for number in range(0, 40, 2))
