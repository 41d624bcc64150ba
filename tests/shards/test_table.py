"""Labels from a CSV table."""

from __future__ import annotations

import csv
import random
from typing import TYPE_CHECKING

import pytest

from shards.classes import choose_classes
from shards.errors import Reason, SourceError
from shards.sample import AnnotatedSet, Sample
from shards.sources.table import read_table

if TYPE_CHECKING:
    from pathlib import Path


def read(root: Path, table: str | bytes, *pictures: str) -> AnnotatedSet:
    """Read a table about some files; what is in them does not matter here."""
    for name in pictures:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    file = root / "labels.csv"
    file.write_bytes(table if isinstance(table, bytes) else table.encode())
    return read_table(root, file)


def test_names(tmp_path: Path) -> None:
    """`path,labels`: names between ';', each once, blank for none; samples sorted by path."""
    found = read(
        tmp_path,
        "path,labels\nb.jpg,dog; cat;dog;\nx/a.jpg,\nx\\c.jpg,cat\n",
        "b.jpg",
        "x/a.jpg",
        "x/c.jpg",
    )
    assert found.samples == (
        Sample("b.jpg", ("cat", "dog")),
        Sample("x/a.jpg", ()),
        Sample("x/c.jpg", ("cat",)),
    )
    assert (found.classes, found.rejected, found.splits) == (None, (), {})


def test_columns(tmp_path: Path) -> None:
    """One column a class: 1 present, 0 absent, -1 only difficult."""
    found = read(tmp_path, "path,dog,cat\na.jpg,1,0\nb.jpg, -1 ,1\n", "a.jpg", "b.jpg")
    assert found.samples == (Sample("a.jpg", ("dog",)), Sample("b.jpg", ("cat",), ("dog",)))


def test_columns_without_positives_stay(tmp_path: Path) -> None:
    """A class column without a single 1 is still a class, and columns keep their order."""
    found = read(tmp_path, "path,dog,yak,cat\na.jpg,1,0,0\n", "a.jpg")
    assert found.classes == ("dog", "yak", "cat")
    assert choose_classes(found.names(), None, found.classes) == ("dog", "yak", "cat")


def test_both_kinds_agree(tmp_path: Path) -> None:
    """The same labels written in either way, with the csv module, are read as the same samples."""
    rng = random.Random(5)
    classes = ["dog", "cat, small", 'the "yak"', "Kühe"]
    truth = {f"p {i}, ü.jpg": [rng.randint(0, 1) for _ in classes] for i in range(30)}
    for name in truth:
        (tmp_path / name).touch()
    files = tmp_path / "names.csv", tmp_path / "columns.csv"
    for file in files:
        with file.open("w", newline="", encoding="utf-8-sig") as out:
            table = csv.writer(out)
            table.writerow(["path", "labels"] if file.name == "names.csv" else ["path", *classes])
            for path, values in truth.items():
                names = [name for name, value in zip(classes, values, strict=True) if value]
                table.writerow([path, ";".join(names)] if "names" in file.name else [path, *values])
    ways = [read_table(tmp_path, file).samples for file in files]
    assert len(ways[0]) == 30
    assert ways[0] == ways[1]


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    """What a spreadsheet saves as 'CSV UTF-8' is read, blank lines or not."""
    table = b"\xef\xbb\xbfpath,labels\r\na.jpg,K\xc3\xbche\r\n\r\n,\r\n"
    assert read(tmp_path, table, "a.jpg").samples == (Sample("a.jpg", ("Kühe",)),)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A file name that is no UTF-8 is found; a class name that is none is refused."""
    (tmp_path / "\udcff.jpg").touch()
    assert len(read(tmp_path, b"path,labels\n\xff.jpg,cat\n").samples) == 1
    with pytest.raises(SourceError, match=r"line 2.*UTF-8"):
        read(tmp_path, b"path,labels\n\xff.jpg,K\xfche\n")


def test_absolute_inside(tmp_path: Path) -> None:
    """An absolute path that leads into the root becomes a relative one."""
    found = read(tmp_path, f"path,labels\n{tmp_path}/x/a.jpg,cat\n", "x/a.jpg")
    assert found.samples == (Sample("x/a.jpg", ("cat",)),)


@pytest.mark.parametrize("path", ["../a.jpg", "/etc/passwd", "x/../../a.jpg", "  "])
def test_outside(tmp_path: Path, path: str) -> None:
    """A path that leads out of the root is refused with its line."""
    with pytest.raises(SourceError, match=r"labels\.csv, line 3: path"):
        read(tmp_path, f"path,labels\na.jpg,cat\n{path},cat\n", "a.jpg")


def test_twice(tmp_path: Path) -> None:
    """The same picture twice, however it is written, is refused with both lines."""
    with pytest.raises(SourceError, match=r"line 5: x/a\.jpg stands in line 2 too"):
        read(tmp_path, 'path,labels\nx/a.jpg,cat\n"b\n.jpg",dog\n.\\x\\a.jpg,dog\n')


def test_missing(tmp_path: Path) -> None:
    """A picture that is not there, or is a folder, is rejected with its line; the rest goes on."""
    (tmp_path / "folder.jpg").mkdir()
    found = read(tmp_path, "path,labels\nno.jpg,cat\na.jpg,cat\nfolder.jpg,cat\n", "a.jpg")
    assert [sample.path for sample in found.samples] == ["a.jpg"]
    assert [(r.path, r.reason) for r in found.rejected] == [
        ("folder.jpg", Reason.MISSING),
        ("no.jpg", Reason.MISSING),
    ]
    assert "line 2" in found.rejected[1].detail


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "the header is ''"),
        ("path\na.jpg\n", "the header is 'path'"),
        ("file,labels\na.jpg,cat\n", "the header is 'file,labels'"),
        ("path;labels\na.jpg;cat\n", "the header is 'path;labels'"),
        ("path,cat,\na.jpg,1,1\n", "the header is 'path,cat,'"),
        ("path,cat,dog,cat\na.jpg,1,1,0\n", "two columns 'cat'"),
        ("path,cat\na.jpg,1\nb.jpg,yes\n", "line 3, column 'cat': 'yes'"),
        ("path,cat,dog\na.jpg,1,\n", "line 2, column 'dog': ''"),
        ("path,cat,dog\na.jpg,1\n", "line 2: 2 cells, but the header has 3"),
        ("path,labels\na.jpg,cat,dog\n", "line 2: 3 cells, but the header has 2"),
        ('path,labels\na.jpg,"cat\n', "line 2: unexpected end of data"),
    ],
)
def test_refused(tmp_path: Path, table: str, said: str) -> None:
    """A bad table is refused with its name, the line and the column."""
    with pytest.raises(SourceError) as caught:
        read(tmp_path, table, "a.jpg", "b.jpg")
    assert said in str(caught.value)
    assert "labels.csv" in str(caught.value)
