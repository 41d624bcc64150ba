"""Google's import CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shards.errors import SourceError
from shards.sources.google_csv.read import read_import_csv

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet


def read(root: Path, text: str, *images: str) -> AnnotatedSet:
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "import.csv").write_text(text, encoding="utf-8")
    return read_import_csv(root, root / "import.csv")


def labels(found: AnnotatedSet) -> dict[str, tuple[str, ...]]:
    return {sample.path: sample.present for sample in found.samples}


def test_rows_as_google_documents_them(tmp_path: Path) -> None:
    """Splits, several labels per row or rows per image, no label, a box, a quoted comma."""
    text = (
        "TRAIN,gs://bucket/set/a.jpg,cat,dog\n"
        "TRAIN,gs://bucket/set/a.jpg,emu\n"
        "VALIDATION,gs://bucket/set/b.jpg,--None_of_the_above--\n"
        'TEST,gs://bucket/set/c.jpg,"cat, big"\n'
        "TEST,gs://bucket/set/d.jpg,dog,0.1,0.2,,,0.5,0.75,,\n"
        "TEST,gs://bucket/set/d.jpg,dog,0.5,0.6,0.7,0.6,0.7,0.75,0.5,0.75\n"
    )
    found = read(tmp_path, text, *(f"set/{name}.jpg" for name in "abcd"))
    assert labels(found) == {
        "set/a.jpg": ("cat", "dog", "emu"),
        "set/b.jpg": (),
        "set/c.jpg": ("cat, big",),
        "set/d.jpg": ("dog",),
    }
    assert {name: len(paths) for name, paths in found.splits.items()} == {
        "train": 1,
        "val": 1,
        "test": 2,
    }
    assert "2 bounding boxes read as presence" in found.notes[0]


def test_the_split_may_be_absent(tmp_path: Path) -> None:
    """Rows without it, with a blank and with UNASSIGNED: no own splits."""
    found = read(tmp_path, "a.jpg,cat\n,b.jpg,dog\nunassigned,c.jpg\n", "a.jpg", "b.jpg", "c.jpg")
    assert labels(found) == {"a.jpg": ("cat",), "b.jpg": ("dog",), "c.jpg": ()}
    assert not found.splits
    assert not found.notes


def test_unassigned_beside_splits_is_counted(tmp_path: Path) -> None:
    """It is in none of the splits, and a note says so."""
    found = read(tmp_path, "TRAIN,a.jpg,cat\nUNASSIGNED,b.jpg,cat\n", "a.jpg", "b.jpg")
    assert found.splits == {"train": {"a.jpg"}}
    assert "1 image UNASSIGNED" in found.notes[0]


@pytest.mark.parametrize("folder", ["", "deep/", "bucket/deep/"])
def test_urls_are_files_under_the_same_tail(tmp_path: Path, folder: str) -> None:
    """With the bucket, without it, and with the file name alone; a missing one is rejected."""
    text = "TRAIN,gs://bucket/deep/a.jpg,x\nTEST,gs://bucket/deep/b.jpg,y\nTEST,gs://bucket/deep/c.jpg\n"
    found = read(tmp_path, text, f"{folder}a.jpg", f"{folder}b.jpg")
    assert labels(found) == {f"{folder}a.jpg": ("x",), f"{folder}b.jpg": ("y",)}
    assert [bad.path for bad in found.rejected] == [f"{folder}c.jpg"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("TRAIN,gs://b/x.jpg,cat\n", "is not below .* Download the images"),
        ("TRAIN,a.jpg,cat\nTEST,a.jpg,dog\n", "line 2: a.jpg is in split 'test', but on line 1"),
        ("TRAIN,a.jpg,cat\nnonsense,cat\n", "line 2: 'nonsense' is neither a path"),
        ("TRAIN\n", "line 1: no path"),
        ("TRAIN,gs://\n", "line 1: gs:// is not below"),
        ("TRAIN,a.jpg,a;b\n", "contains ';'"),
        ('TRAIN,"a.jpg,cat\n', "line 1"),
        ("\n", "no rows"),
        ("TRAIN,missing.jpg,cat\n", "matches no file"),
        ("TRAIN,../a.jpg,cat\n", "is not inside"),
        ("TRAIN,a.jpg,cat,0.1,0.1,0.3,0.3\n", "line 1: 4 cells of numbers after 'cat'"),
        ("TRAIN,a.jpg,cat,10,10,,,30,30,,\n", "line 1: 8 cells of numbers after 'cat'"),
        (
            "TRAIN,gs://b/x/a.jpg,cat\nTRAIN,gs://b/y/a.jpg,dog\n",
            r"line 2: gs://b/y/a.jpg and gs://b/x/a.jpg \(line 1\) both match a.jpg",
        ),
    ],
)
def test_refused(tmp_path: Path, text: str, match: str) -> None:
    """One line with the place."""
    with pytest.raises(SourceError, match=match) as caught:
        read(tmp_path, text, "a.jpg")
    assert "\n" not in str(caught.value)
