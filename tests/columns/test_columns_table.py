"""Columns hold what the predictions say, in every format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from written_predictions import HOSTILE, draw

from vocscore.columns import cache
from vocscore.columns.open import open_table
from vocscore.errors import EvalError
from vocscore.evaluation.predictions import read_predictions
from vocscore.scoring.formats.selection import Selection

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.columns.table import Table

FORMS = [("p.csv", None), ("p.jsonl", None), ("p.parquet", None)]
FORMS += [(f"p-{name}", name) for name in ("csv", "jsonl", "parquet")]


def stacked(table: Table, what: str) -> np.ndarray:
    return np.stack([getattr(table, what)(c) for c in range(len(table.classes))], axis=1)


@pytest.mark.parametrize(("name", "folder_format"), FORMS)
def test_columns_are_what_the_reader_of_eval_reads(
    name: str, folder_format: str | None, tmp_path: Path
) -> None:
    """Paths, probabilities, labels, reasons and details; hostile names and errors included."""
    drawn = draw(40, names=HOSTILE, failing=(3, 17, 39), threshold=0.5)
    source = drawn.write(tmp_path / name, folder_format=folder_format)
    table, known = open_table(source), read_predictions(source)
    assert table.classes == known.classes == drawn.classes
    assert tuple(table.paths(range(table.rows))) == known.paths
    np.testing.assert_array_equal(stacked(table, "column"), known.probabilities)
    np.testing.assert_array_equal(stacked(table, "decided"), known.predicted)
    np.testing.assert_array_equal(table.failed, known.failed)
    for row in (0, 3, 25, 39):
        np.testing.assert_array_equal(table.row(row), known.probabilities[row])
        np.testing.assert_array_equal(table.decided_row(row), known.predicted[row])
    for row, fault in drawn.failures.items():
        assert table.reasons[table.reason[row]] == str(fault.reason)
        assert table.detail(row) == fault.detail
    assert table.detail(0) == ""
    with pytest.raises(IndexError):
        table.row(40)


def test_blocks_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of several blocks are one column, and a row is found in its block."""
    monkeypatch.setattr("vocscore.columns.collect._ROWS_A_BLOCK", 7)
    drawn = draw(40, failing=(6, 7, 39))
    table = open_table(drawn.write(tmp_path / "p.csv"))
    assert table.columns.about.blocks == (7, 7, 7, 7, 7, 5)
    want = np.where(table.failed[:, None], np.nan, drawn.probabilities)
    np.testing.assert_array_equal(stacked(table, "column"), want)
    np.testing.assert_array_equal(np.stack([table.row(r) for r in range(40)]), want)
    np.testing.assert_array_equal(table.table(np.array([39, 0, 13])), want[[39, 0, 13]])
    assert [table.detail(r) for r in (6, 7, 39)] == [f"detail of {r}" for r in (6, 7, 39)]


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.parquet"])
def test_what_was_not_written_is_nan_and_labels_decide(name: str, tmp_path: Path) -> None:
    """With --min-probability or --columns labels, decisions are those of the labels."""
    drawn = draw(30, failing=(4,))
    record = drawn.record()
    some = drawn.write(tmp_path / name, selection=Selection(min_probability=0.6), record=record)
    none = drawn.write(
        tmp_path / f"labels-{name}", selection=Selection(columns="labels"), record=record
    )
    for source, kept in ((some, drawn.probabilities >= np.float32(0.6)), (none, False)):
        table = open_table(source)
        fine = ~table.failed[:, None]
        want = np.where(kept & fine, drawn.probabilities, np.nan)
        np.testing.assert_array_equal(stacked(table, "column"), want)
        assert not table.columns.about.has_all
        decided = (drawn.probabilities >= 0.5) & fine
        for c in range(3):
            np.testing.assert_array_equal(table.predicted(c, 0.5), decided[:, c])


def test_predictions_without_labels_are_decided_by_thresholds(tmp_path: Path) -> None:
    """Those of the record; both compared as float32."""
    drawn = draw(30, threshold=(0.5, 0.7, 0.1))
    selection = Selection(columns="probabilities")
    source = drawn.write(tmp_path / "p.csv", selection=selection, record=drawn.record())
    table = open_table(source)
    want = drawn.probabilities >= np.array([0.5, 0.7, 0.1], np.float32)
    np.testing.assert_array_equal(stacked(table, "decided"), want)
    np.testing.assert_array_equal(np.stack([table.decided_row(r) for r in range(30)]), want)


def test_text_is_found_in_paths_only(tmp_path: Path) -> None:
    """Case does not matter; a match never spans two paths."""
    names = ("Abc.jpg", "xabC", "c.jpgx", "ÄRGER.png", "caf\udce9.jpg", "d")
    table = open_table(draw(6, names=names).write(tmp_path / "p.csv"))
    for text in ("abc", "jpg", "gx", "ärger", "d", "caf\udce9", ".jpgx", "nothing", "cd"):
        want = [text.lower() in name.lower() for name in names]
        assert table.matching(text).tolist() == want, text
    assert table.matching("").all()


def test_columns_are_kept_until_the_predictions_change(tmp_path: Path) -> None:
    """A second opening reads nothing; a changed file is read again."""
    source = draw(20).write(tmp_path / "p.csv")
    counted: list[int] = []
    open_table(source, on_rows=counted.append)
    open_table(source, on_rows=counted.append)
    assert counted == [20]
    source.unlink()
    draw(30).write(tmp_path / "q.csv").rename(source)
    assert open_table(source, on_rows=counted.append).rows == 30
    assert counted == [20, 30]


def test_damaged_columns_are_read_again(tmp_path: Path) -> None:
    """Files that are too short, or an unreadable description."""
    source = draw(20).write(tmp_path / "p.csv")
    want = stacked(open_table(source), "column")
    place = cache.place_of(source)
    for name in ("probabilities.f32", "path_ends.i8", "about.json"):
        os.truncate(place / name, 5)
        np.testing.assert_array_equal(stacked(open_table(source), "column"), want)


def test_few_columns_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those used last."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sources = [draw(3).write(tmp_path / f"{n}.csv") for n in range(20)]
    for source in sources:
        open_table(source)
    kept = [source for source in sources if cache.place_of(source).exists()]
    assert kept == sources[4:]


def test_an_unwritable_cache_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a temporary folder."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert open_table(draw(5).write(tmp_path / "p.csv")).rows == 5


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows: int, tmp_path: Path) -> None:
    """No row and one row."""
    table = open_table(draw(rows).write(tmp_path / "p.csv"))
    assert table.rows == rows
    assert table.column(0).shape == table.decided(0).shape == table.matching("x").shape == (rows,)


def test_all_rows_are_errors(tmp_path: Path) -> None:
    """The classes are then those of the record, where rows do not have them."""
    drawn = draw(4, failing=range(4))
    table = open_table(drawn.write(tmp_path / "p.jsonl", record=drawn.record()))
    assert table.classes == drawn.classes
    assert table.failed.all()
    with pytest.raises(EvalError, match="does not name its classes"):
        open_table(drawn.write(tmp_path / "q.jsonl"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "the first line must be path,status,error"),
        ("path,status,error,cat,labels\na,ok,,2.5,\n", "2.5 is not a probability"),
        ("path,status,error,cat,labels\na,maybe,,0.5,\n", "neither 'ok' nor 'error'"),
        ("path,status,error,cat,labels\na,ok,,0.5,dog\n", "'dog' is not among the classes"),
        ("path,status,error,cat,cat,labels\na,ok,,0.5,0.5,\n", "two columns are named 'cat'"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    """With one line that names the file; nothing stays in the cache."""
    file = tmp_path / "p.csv"
    file.write_text(text)
    with pytest.raises(EvalError, match=message) as error:
        open_table(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)
    assert not cache.place_of(file).exists()
    assert not list(cache.place_of(file).parent.glob(f".{cache.place_of(file).name}-*"))


def test_missing_predictions_are_refused(tmp_path: Path) -> None:
    """With the cure."""
    with pytest.raises(EvalError, match="no such file or folder"):
        open_table(tmp_path / "p.csv")
