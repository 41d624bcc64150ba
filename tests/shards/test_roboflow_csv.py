"""Roboflow's `_classes.csv`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shards.errors import SourceError
from shards.sources.registry import SOURCES
from shards.sources.source import Request, Tree

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet

# As exported: a blank after each comma; a file per split folder.
TRAIN = "filename, cat, big dog, id\na_jpg.rf.1.jpg, 1, 0, 1\nb.jpg, 0, 0, 0\n"
VALID = "filename, cat, big dog, id\nc.jpg, 1, 1, 0\n"


def read(here: Path, *images: str, **tables: str) -> AnnotatedSet:
    for name in images:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    for folder, text in tables.items():
        (here / folder.replace("root", ".") / "_classes.csv").write_text(text, encoding="utf-8")
    return SOURCES["roboflow"].read(Tree(here), Request())


IMAGES = ("train/a_jpg.rf.1.jpg", "train/b.jpg", "valid/c.jpg")


def test_an_export(tmp_path: Path) -> None:
    """Every column is a class, also one called 'id'; folders are the splits."""
    found = read(tmp_path, *IMAGES, train=TRAIN, valid=VALID)
    assert found.classes == ("cat", "big dog", "id")
    assert [(s.path, s.present) for s in found.samples] == [
        ("train/a_jpg.rf.1.jpg", ("cat", "id")),
        ("train/b.jpg", ()),
        ("valid/c.jpg", ("big dog", "cat")),
    ]
    assert found.splits == {"train": set(IMAGES[:2]), "val": {IMAGES[2]}}
    assert not found.notes


def test_irregular_ones_are_counted(tmp_path: Path) -> None:
    """A missing image, a repeated row, an image that is not named, other files."""
    text = "filename, cat\na.jpg, 1\na.jpg, 1\ngone.jpg, 0\n"
    found = read(tmp_path, "a.jpg", "more.jpg", "README.roboflow.txt", root=text)
    assert [bad.path for bad in found.rejected] == ["gone.jpg"]
    assert not found.splits
    told = "; ".join(found.notes)
    for part in ("1 row with the labels", "1 of 2 paths match no file", "first: more.jpg", ".txt"):
        assert part in told


@pytest.mark.parametrize(
    ("train", "valid", "match"),
    [
        (TRAIN, VALID.replace("big", "small"), "other classes than"),
        (TRAIN.replace("1, 0, 1", "1, 2, 1"), VALID, "line 2, column 'big dog': ' 2' is neither"),
        (TRAIN.replace("1, 0, 1", "1, , 1"), VALID, "column 'big dog'.* neither 1 nor 0"),
        (TRAIN.replace("filename", "image"), VALID, "not Roboflow's _classes.csv"),
        (TRAIN.replace("id", "cat"), VALID, "two columns 'cat'"),
        (TRAIN + "b.jpg, 1, 0, 0\n", VALID, "line 4: train/b.jpg has other labels than on line 3"),
        (TRAIN + "b.jpg, 1\n", VALID, "line 4: 2 cells"),
        ("filename, cat, big dog, id\n", VALID, "no rows"),
        (TRAIN, VALID + "../train/b.jpg, 1, 0, 0\n", "valid/_classes.csv: train/b.jpg has other"),
    ],
)
def test_refused(tmp_path: Path, train: str, valid: str, match: str) -> None:
    """One line with the place."""
    with pytest.raises(SourceError, match=match) as caught:
        read(tmp_path, *IMAGES, train=train, valid=valid)
    assert "\n" not in str(caught.value)
