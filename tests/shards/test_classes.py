"""The vocabulary and the numbers that labels become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shards.classes import VOC_CLASSES, choose_classes, encode, read_classes
from shards.errors import LabelError
from shards.sample import Sample

if TYPE_CHECKING:
    from pathlib import Path


def test_voc_order() -> None:
    """VOC's classes are 20, sorted by name, as VOCinit.m has them."""
    assert len(VOC_CLASSES) == 20
    assert list(VOC_CLASSES) == sorted(VOC_CLASSES)
    assert VOC_CLASSES[14] == "person"


def test_voc_classes_where_they_fit() -> None:
    """Where a VOC tree has no other names, all 20 are columns, in the devkit's order.

    The same names from a source that is no VOC tree are the columns themselves.
    """
    assert choose_classes({"person", "cat"}, None, known=VOC_CLASSES) == VOC_CLASSES
    assert choose_classes({"person", "cat"}, None) == ("cat", "person")
    assert choose_classes({"person", "yak"}, None, known=VOC_CLASSES) == ("person", "yak")


def test_found_classes_sorted() -> None:
    """One name that VOC does not have makes the classes those found, sorted by code point."""
    assert choose_classes(["person", "zebra", "Äffin", "cat"], None) == (
        "cat",
        "person",
        "zebra",
        "Äffin",
    )


def test_given_then_declared() -> None:
    """What the user gives outranks what the layout declares, and that what is found."""
    assert choose_classes({"cat"}, ["dog", "cat"], ("bird", "cat")) == ("dog", "cat")
    assert choose_classes({"cat"}, None, ("cat", "bird")) == ("cat", "bird")


@pytest.mark.parametrize(("given", "declared"), [(None, None), ([], None), (None, ())])
def test_no_classes(given: list[str] | None, declared: tuple[str, ...] | None) -> None:
    """A set without any label has no classes unless the user names them."""
    with pytest.raises(LabelError, match="`classes`"):
        choose_classes([], given, declared)


def test_two_classes_of_one_name() -> None:
    """A source that declares a class twice would give two equal columns."""
    with pytest.raises(LabelError, match="here: two classes are called 'cat'"):
        choose_classes({"cat"}, None, ("cat", "dog", "cat"), where=lambda _name: "here")


def test_a_class_that_is_not_declared() -> None:
    """A source that names its classes in one place and others in another contradicts itself."""
    with pytest.raises(
        LabelError, match=r"class 'cow' is not among the 2 classes .* `rename=\[\('cow', 'NEW'\)\]`"
    ):
        choose_classes({"cat", "cow"}, None, ("cat", "dog"))


@pytest.mark.parametrize("name", ["a;b", "a\nb", " a", "a ", "", "\udcff"])
def test_names_that_cannot_be_columns(name: str) -> None:
    """A name that a header or a list of names could not hold is refused, and shown escaped."""
    with pytest.raises(LabelError) as caught:
        choose_classes([name, "zebra"], None)
    assert repr(name) in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "data", [b"dog\ncat\n", b"\xef\xbb\xbfdog\r\ncat", b"\n dog \n\ncat\t\n\n"]
)
def test_read_classes(tmp_path: Path, data: bytes) -> None:
    """Order is kept; blank lines, blanks, CRLF and a byte order mark do not count."""
    file = tmp_path / "classes.txt"
    file.write_bytes(data)
    assert read_classes(file) == ("dog", "cat")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"cat\ndog\ncat\n", "'cat' on lines 1 and 3"),
        (b"\n\n", "no classes"),
        (b"", "no classes"),
        (b"cat\n\xff\n", "not UTF-8 at byte 4"),
        (b"cat\na;b\n", "line 2: 'a;b'"),
    ],
)
def test_read_classes_refuses(tmp_path: Path, data: bytes, said: str) -> None:
    """A bad file of classes is refused with its name and the line."""
    file = tmp_path / "classes.txt"
    file.write_bytes(data)
    with pytest.raises(LabelError) as caught:
        read_classes(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_encode() -> None:
    """Present is 1, only difficult is -1, absent is 0, in column order, as int8."""
    row = encode(Sample("a.jpg", ("cat", "dog"), ("bird",)), ["dog", "bird", "cow", "cat"])
    assert row.dtype == np.int8
    assert row.tolist() == [1, -1, 0, 1]


@pytest.mark.parametrize(
    "sample", [Sample("x/a.jpg", ("zebra",)), Sample("x/a.jpg", (), ("zebra",))]
)
def test_encode_unknown(sample: Sample) -> None:
    """An unknown class is an error that names the image, the class and the option."""
    with pytest.raises(LabelError, match=r"x/a\.jpg.*'zebra'.*`classes`"):
        encode(sample, ("cat",))
