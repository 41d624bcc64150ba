"""Annotations of VOC's format as programs write them: encodings, tags, marks."""

from __future__ import annotations

import codecs
from xml.etree import ElementTree as ET

import pytest

from shards.sources.voc.annotation import BadAnnotationError, parse_objects

NAME = "vélo"


def document(declared: str | None, name: str = NAME) -> str:
    """An annotation of one object, with or without a declaration of its encoding."""
    head = "" if declared is None else f'<?xml version="1.0" encoding="{declared}"?>\n'
    return f"{head}<annotation><object><name>{name}</name></object></annotation>"


def names(data: bytes) -> list[str]:
    return [one.name for one in parse_objects(data)]


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        *((name, name) for name in ("utf-8", "utf8", "UTF_8", "U8", "latin-1", "latin1", "L1")),
        *((name, name) for name in ("iso-8859-15", "cp1252", "Windows-1252", "cp850", "mac-roman")),
        *((name, name) for name in ("utf-16", "utf-32")),
        (None, "utf-8"),
        (None, "utf-8-sig"),
        ("utf8", "utf-8-sig"),
        ("latin-1", "utf-8-sig"),
        ("utf8", "utf-16"),
        ("utf-16", "utf-16-le"),
        ("utf-16", "utf-16-be"),
        ("utf-16", "utf-8"),
        ("UTF-16LE", "utf-8"),
    ],
)
def test_encodings(declared: str | None, written: str) -> None:
    """Accents come out right, whatever the encoding is called, and whatever mark stands before.

    A mark of the byte order outranks the declaration, and so do the bytes of the declaration
    itself where it says UTF-16 and is not.
    """
    assert names(document(declared).encode(written)) == [NAME]


@pytest.mark.parametrize(
    ("declared", "written", "name"),
    [("big5", "big5", "中文"), ("Shift_JIS", "shift_jis", "自転車"), ("gb2312", "gbk", "中镕")],
)
def test_encodings_of_several_bytes(declared: str, written: str, name: str) -> None:
    """Encodings of several bytes a letter are read; GB2312 with letters of GBK, as it is used."""
    assert names(document(declared, name).encode(written)) == [name]


@pytest.mark.parametrize("encoding", ["utf8", "utf-8", "latin1", "us-ascii", "unicode"])
def test_what_element_tree_writes(encoding: str) -> None:
    """xml.etree's own files are read back, under each of its names for UTF-8."""
    root = ET.Element("annotation")
    ET.SubElement(root, "path").text = "C:/José/x.jpg"
    ET.SubElement(ET.SubElement(root, "object"), "name").text = NAME
    written = ET.tostring(root, encoding=encoding)
    assert names(written if isinstance(written, bytes) else written.encode()) == [NAME]


@pytest.mark.parametrize("declared", [None, "utf-8"])
def test_not_utf8(declared: str | None) -> None:
    """Latin-1 that does not say so is refused, with the byte."""
    data = document(declared).encode("latin-1")
    with pytest.raises(BadAnnotationError, match=f"not UTF-8 at byte {data.index(0xE9)}"):
        parse_objects(data)


@pytest.mark.parametrize("declared", ["klingon", "rot13", "hex", "undefined"])
def test_no_encoding(declared: str) -> None:
    """What is no encoding of text is refused by name."""
    with pytest.raises(BadAnnotationError, match=rf"{declared[:3]}"):
        parse_objects(document(declared).encode())


@pytest.mark.parametrize(
    "text",
    [
        "<annotation><Object><name>cat</name></Object></annotation>",
        "<Annotation><OBJECT><Name>cat</Name><Difficult>0</Difficult></OBJECT></Annotation>",
        "<annotation><objects><object><name>cat</name></object></objects></annotation>",
        "<annotation><a><b><object><name>cat</name></object></b></a></annotation>",
        '<annotation xmlns="http://x"><object><name>cat</name></object></annotation>',
        '<v:annotation xmlns:v="x"><v:object><v:name>cat</v:name></v:object></v:annotation>',
        (
            "<annotation><object><name> cat\n</name><bndbox><xmin>-3.25</xmin></bndbox></object>"
            "</annotation>"
        ),
    ],
)
def test_objects_wherever_they_are(text: str) -> None:
    """Tags in any case, with a namespace or below a wrapper: the object is found."""
    assert names(text.encode()) == ["cat"]


@pytest.mark.parametrize(
    ("mark", "difficult"),
    [
        ("", False),
        ("<difficult/>", False),
        *((f"<difficult>{text}</difficult>", False) for text in ("0", " 0 ", "False", "no")),
        ("<difficult>Unspecified</difficult>", False),
        *((f"<difficult>{text}</difficult>", True) for text in ("1", "\n1\n", "TRUE", "yes")),
    ],
)
def test_difficult(mark: str, difficult: bool) -> None:
    """Blank and 'Unspecified' are as good as no mark; yes and no in the usual words."""
    text = f"<annotation><object><name>cat</name>{mark}</object></annotation>"
    assert [one.difficult for one in parse_objects(text.encode())] == [difficult]


def test_lines() -> None:
    """Each object tells the line of its name."""
    text = (
        "<annotation>\n<object>\n<name>cat</name></object><object>\n\n<name>dog</name></object>\n"
    )
    assert [(one.name, one.line) for one in parse_objects(f"{text}</annotation>".encode())] == [
        ("cat", 3),
        ("dog", 5),
    ]


def test_bom_alone_is_empty() -> None:
    """A file of nothing but a mark is refused like an empty one."""
    for mark in (b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF32_LE):
        with pytest.raises(BadAnnotationError, match="no element found"):
            parse_objects(mark)


def test_what_labelme_deleted() -> None:
    """LabelMe marks an object that its user took away as deleted: it is no label."""
    one = "<object><name>{}</name><deleted>{}</deleted></object>"
    text = one.format("cat", 1) + one.format("dog", 0)
    assert names(f"<annotation>{text}</annotation>".encode()) == ["dog"]
