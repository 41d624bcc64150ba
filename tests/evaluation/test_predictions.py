"""The table that scoring writes, as evaluation reads it."""

from __future__ import annotations

import csv
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from vocscore.errors import EvalError
from vocscore.evaluation.predictions import read_predictions

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "path,status,error,cat,dog,labels\n"


def table(folder: Path, text: str) -> Path:
    """A file with these lines."""
    file = folder / "predictions.csv"
    file.write_text(text, encoding="utf-8", newline="")
    return file


def test_rows_keep_their_order_classes_and_values(tmp_path: Path) -> None:
    """Paths, classes and float32 probabilities come as written; a failed row has nan."""
    found = read_predictions(
        table(
            tmp_path,
            HEADER
            + "b.jpg,ok,,0.1,0.90000004,dog\r\n"
            + 'a.jpg,error,"truncated: ends early, at 7",,,\n'
            + '"odd, name é.jpg",ok,,1.0,2.5e-09,cat\n',
        )
    )
    assert found.classes == ("cat", "dog")
    assert found.paths == ("b.jpg", "a.jpg", "odd, name é.jpg")
    assert found.failed.tolist() == [False, True, False]
    expected = np.array([[0.1, 0.90000004], [np.nan, np.nan], [1, 2.5e-9]], dtype=np.float32)
    np.testing.assert_array_equal(found.probabilities, expected)


def test_every_float32_comes_back_bit_for_bit(tmp_path: Path) -> None:
    """The shortest decimal form of a float32 is read as the same float32."""
    values = np.random.default_rng(0).random((500, 2), dtype=np.float32) ** 8
    rows = "".join(f"{n}.jpg,ok,,{a},{b},\n" for n, (a, b) in enumerate(values))
    np.testing.assert_array_equal(
        read_predictions(table(tmp_path, HEADER + rows)).probabilities, values
    )


def test_names_that_are_no_text_come_through(tmp_path: Path) -> None:
    """A file name that is not UTF-8 is read as Python's file system functions would read it."""
    file = tmp_path / "p.csv"
    file.write_bytes(HEADER.encode() + b"caf\xe9.jpg,ok,,0.5,0.5,\n")
    assert read_predictions(file).paths == ("caf\udce9.jpg",)


def test_a_table_without_rows_is_empty(tmp_path: Path) -> None:
    """A header alone is a table of no images."""
    found = read_predictions(table(tmp_path, HEADER))
    assert found.paths == ()
    assert found.probabilities.shape == (0, 2)


@pytest.mark.parametrize(
    "header", ["", "path,labels\n", "path,status,error\n", "path,status,cat,dog,labels\n"]
)
def test_another_table_is_refused(tmp_path: Path, header: str) -> None:
    """A first line that is not that of a table of predictions is shown in the error."""
    with pytest.raises(EvalError, match="the first line must be path,status,error") as caught:
        read_predictions(table(tmp_path, header + "a.jpg,ok,,1,1,\n" * bool(header)))
    assert repr(header.strip()) in str(caught.value)


def test_a_column_behind_the_labels_is_refused(tmp_path: Path) -> None:
    """A column that somebody added at the end is named, and not read as a class."""
    file = tmp_path / "p.csv"
    file.write_text("path,status,error,cat,labels,seen by\na.jpg,ok,,0.5,cat,Ann\n")
    with pytest.raises(EvalError, match=r"must be the last column, .*'seen by' follows. Remove"):
        read_predictions(file)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("a.jpg,ok,,0.5,0.5,", "line 3: a.jpg is a duplicate"),
        ("b.jpg,ok,,0.5,", "line 3: 5 columns instead of 6 .truncated"),
        ("b.jpg,fine,,0.5,0.5,", "line 3: status 'fine' is neither 'ok' nor 'error'"),
        ("b.jpg,ok,,0.5,x,", "line 3: could not convert"),
        ("b.jpg,ok,,0.5,,", "line 3: no probability for dog .written with `top_k` or"),
        ("b.jpg,ok,,0.5,1.5,", "b.jpg has 1.5 for dog, which is not a probability"),
        ("b.jpg,ok,,nan,0.5,", "b.jpg has nan for cat, which is not a probability"),
        ("b.jpg,ok,,-0.1,0.5,", "b.jpg has -0.1.* for cat"),
        ("", "line 3: 0 columns"),
        ("b.jpg,ok,,0.5,0.5,cat;wombat", "line 3: no probability for wombat"),
    ],
)
def test_a_wrong_row_is_named_by_line_or_path(tmp_path: Path, row: str, says: str) -> None:
    """A repeated, short or meaningless row ends in an error that says where it is and what."""
    file = table(tmp_path, f"{HEADER}a.jpg,ok,,0.5,0.5,\n{row}\n")
    with pytest.raises(EvalError, match=says) as caught:
        read_predictions(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_large_table_is_read_in_reasonable_time(tmp_path: Path) -> None:
    """20,000 rows of 20 classes take under two seconds of processor time."""
    file = tmp_path / "p.csv"
    classes = [f"c{n}" for n in range(20)]
    values = np.random.default_rng(0).random((20_000, 20), dtype=np.float32)
    with file.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["path", "status", "error", *classes, "labels"])
        out.writerows([f"{n}.jpg", "ok", "", *row, ""] for n, row in enumerate(values.tolist()))
    started = time.process_time()
    assert len(read_predictions(file).paths) == 20_000
    assert time.process_time() - started < 2


def test_labels_are_what_was_predicted(tmp_path: Path) -> None:
    """Names in the last column are true, in whatever order; a failed row has none."""
    rows = (
        "a.jpg,ok,,0.9,0.1,dog;cat\nb.jpg,error,empty,,,\nc.jpg,ok,,0.9,0.9,dog\nd.jpg,ok,,1,1,\n"
    )
    found = read_predictions(table(tmp_path, HEADER + rows))
    assert found.predicted is not None
    assert found.predicted.astype(int).tolist() == [[1, 1], [0, 0], [0, 1], [0, 0]]


@pytest.mark.parametrize(
    "text",
    [
        "path,status,error,cat,dog\na.jpg,ok,,0.9,0.1\n",
        'path,status,error,cat,"a;b",labels\na.jpg,ok,,0.9,0.1,a;b\n',
    ],
)
def test_labels_that_are_not_told_are_none(tmp_path: Path, text: str) -> None:
    """Without the column, or where a class's name holds what stands between names."""
    found = read_predictions(table(tmp_path, text))
    assert found.predicted is None
    assert found.probabilities.shape == (1, 2)


def test_one_part_without_labels_leaves_them_all_untold(tmp_path: Path) -> None:
    """A folder of which one part says nothing of labels has no decisions to compare."""
    text = "path,status,error,cat,dog"
    (tmp_path / "part-000000.csv").write_text(f"{text},labels\na.jpg,ok,,0.9,0.1,cat\n")
    (tmp_path / "part-000001.csv").write_text(f"{text}\nb.jpg,ok,,0.9,0.1\n")
    assert read_predictions(tmp_path).predicted is None
