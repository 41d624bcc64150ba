"""Corrections of labels: what is written is read, applied, counted, and never moves an image."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
from written_predictions import HOSTILE

import vocscore as vs
from shards.corrections import add_correction, apply_corrections, read_corrections
from shards.errors import LabelError
from shards.reader import load_split
from shards.sample import Sample

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_added_is_read(tmp_path: Path) -> None:
    """Any name; the last line about a label counts; a drop can be taken back."""
    file = tmp_path / "corrections.csv"
    for name in HOSTILE:
        add_correction(file, name, "a,b", "1")
        add_correction(file, name, "a,b", "-1")
        add_correction(file, name, "", "drop")
    add_correction(file, HOSTILE[0], "", "keep")
    found = read_corrections(file)
    assert found.values == {name: {"a,b": -1} for name in HOSTILE}
    assert found.dropped == set(HOSTILE[1:])
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as opened:
        assert len(list(csv.reader(opened))) == 2 + 3 * len(HOSTILE)


def test_an_open_last_line_is_closed(tmp_path: Path) -> None:
    """As editors leave it."""
    file = tmp_path / "c.csv"
    file.write_text("path,class,value\na.jpg,cat,1")
    add_correction(file, "b.jpg", "cat", "0")
    assert read_corrections(file).values == {"a.jpg": {"cat": 1}, "b.jpg": {"cat": 0}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line must be path,class,value"),
        ("path,label\n", "the first line must be"),
        ("path,class,value\na.jpg,cat\n", "line 2: 2 columns instead of 3"),
        ("path,class,value\n,cat,1\n", "line 2: no path"),
        ("path,class,value\na.jpg,cat,2\n", "line 2: class 'cat' with value '2'"),
        ("path,class,value\na.jpg,,1\n", "line 2: class '' with value '1'"),
        ("path,class,value\na.jpg,cat,drop\n", "line 2: class 'cat' with value 'drop'"),
        ('path,class,value\n"a.jpg,cat,1\n', "line 2: unexpected end of data"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    """With one line that names file and line."""
    file = tmp_path / "c.csv"
    file.write_text(text)
    with pytest.raises(LabelError, match=message) as error:
        read_corrections(file)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """With one line."""
    with pytest.raises(LabelError, match="no such file"):
        read_corrections(tmp_path / "c.csv")


def test_labels_are_corrected_and_counted(tmp_path: Path) -> None:
    """Only changes count; images stay in their splits; unknown paths are named."""
    file = tmp_path / "c.csv"
    lines = ["a,cat,0", "a,dog,1", "b,cat,1", "b,dog,-1", "c,,drop", "nowhere,cat,1"]
    file.write_text("\n".join(["path,class,value", *lines]) + "\n")
    splits = {
        "train": [Sample("a", ("cat",)), Sample("b", ("cat",))],
        "val": [Sample("c", ("dog",)), Sample("d", (), ("cat",))],
    }
    found = apply_corrections(splits, read_corrections(file), classes=("cat", "dog"))
    assert found.splits == {
        "train": [Sample("a", ("dog",)), Sample("b", ("cat",), ("dog",))],
        "val": [Sample("d", (), ("cat",))],
    }
    assert (found.labels, found.dropped, found.unused) == (3, 1, ("nowhere",))
    with pytest.raises(LabelError, match="cat, which is no class of the set"):
        apply_corrections(splits, read_corrections(file), classes=("dog",))


def test_packing_applies_them(voc_tree: Path, tmp_path: Path) -> None:
    """Labels of shards change, dropped images are gone, splits are as before."""
    whole = vs.pack(voc_tree, tmp_path / "whole")
    before = {split: load_split(tmp_path / "whole", split) for split in whole.manifest.splits}
    first = before["train"].images[0].name
    second = before["val"].images[0].name
    file, classes = tmp_path / "c.csv", whole.manifest.classes
    value = 1 - max(0, int(before["train"].labels[0][3]))
    add_correction(file, first, classes[3], str(value))
    add_correction(file, second, "", "drop")
    add_correction(file, "nowhere.jpg", classes[0], "1")
    with pytest.warns(UserWarning, match=r"1 of 3 corrected images are not in the set: nowhere"):
        report = vs.pack(voc_tree, tmp_path / "corrected", corrections=file)
    assert (report.corrected, report.dropped) == (1, 1)
    assert report.images == whole.images - 1
    assert "labels corrected: 1; left out by corrections: 1" in str(report)
    after = {split: load_split(tmp_path / "corrected", split) for split in before}
    for split, old in before.items():
        names = [image.name for image in old.images if image.name != second]
        assert [image.name for image in after[split].images] == names
    want = before["train"].labels.copy()
    want[0, 3] = value
    np.testing.assert_array_equal(after["train"].labels, want)


def test_other_corrections_are_another_set(voc_tree: Path, tmp_path: Path) -> None:
    """The same file again changes nothing; another one is refused without --overwrite."""
    file = tmp_path / "c.csv"
    path = load_first(voc_tree)
    add_correction(file, path, "", "drop")
    vs.pack(voc_tree, tmp_path / "shards", corrections=file)
    assert vs.pack(voc_tree, tmp_path / "shards", corrections=file).unchanged
    add_correction(file, path, "", "keep")
    with pytest.raises(vs.Error, match="overwrite"):
        vs.pack(voc_tree, tmp_path / "shards", corrections=file)


def load_first(voc_tree: Path) -> str:
    return f"JPEGImages/{min(p.name for p in (voc_tree / 'JPEGImages').iterdir())}"
