"""Predictions that a spreadsheet or pandas has saved again: read as they were, or one line."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from vocscore.cli.main import main
from vocscore.errors import EvalError
from vocscore.evaluation.predictions import read_predictions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.evaluation.predictions import Predictions

CLASSES = ["cat", "dog", "potted plant"]
HEADER = ["path", "status", "error", *CLASSES, "labels"]
ROWS = [
    ["a.jpg", "ok", "", "0.75", "0.5", "1e-07", "cat;dog"],
    ["sub/b, c.jpg", "ok", "", "0.25", "2.5e-09", "0.9999999", "potted plant"],
    ["cut.jpg", "error", "truncated: ends early, at 7", "", "", "", ""],
    ["café.jpg", "ok", "", "0.125", "0", "0", ""],
]


def text(rows: list[list[str]] | None = None, *, separator: str = ",", end: str = "\n") -> str:
    """The table, quoted as RFC 4180 has it."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, lineterminator=end)
    writer.writerows([HEADER, *(rows or ROWS)])
    return file.getvalue()


def commas(rows: list[list[str]]) -> list[list[str]]:
    """With decimal commas."""
    return [[*row[:3], *(cell.replace(".", ",") for cell in row[3:6]), row[6]] for row in rows]


def by_pandas(**options: object) -> str:
    table = pd.read_csv(io.StringIO(text()), **options)
    return str(table.to_csv())


def twice_indexed() -> str:
    """Saved with its index, read without care, and saved with an index again."""
    return str(pd.read_csv(io.StringIO(by_pandas())).to_csv())


def unquoted(separator: str, between: str) -> str:
    """Every separator replaced as text, as people do in an editor."""
    lines = text([row for row in ROWS if "," not in "".join(row)]).replace(";", between)
    return lines.replace(",", separator)


def equal(one: Predictions, other: Predictions) -> None:
    """The same rows by path, whatever their order."""
    assert one.classes == other.classes
    order = [other.paths.index(path) for path in one.paths]
    np.testing.assert_array_equal(one.probabilities, other.probabilities[order])
    np.testing.assert_array_equal(one.failed, other.failed[order])
    assert one.predicted is not None
    assert other.predicted is not None
    np.testing.assert_array_equal(one.predicted, other.predicted[order])


@pytest.fixture
def plain(tmp_path: Path) -> Predictions:
    """As `score` has written it."""
    file = tmp_path / "plain.csv"
    file.write_text(text(), encoding="utf-8", newline="")
    return read_predictions(file)


@pytest.mark.parametrize(
    "make",
    [
        lambda: text().encode("utf-8-sig"),
        lambda: text(separator=";").encode("utf-8-sig"),
        lambda: text(commas(ROWS), separator=";").encode("utf-8-sig"),
        lambda: text(commas(ROWS), separator="\t").encode("utf-16"),
        lambda: b"\xfe\xff" + text(separator="\t", end="\r\n").encode("utf-16-be"),
        lambda: text(commas(ROWS)).encode(),  # quoted, as RFC 4180 has it
        lambda: text(end="\r\n").encode(),
        lambda: text(end="\r").encode(),
        lambda: b"sep=;\r\n" + text(separator=";", end="\r\n").encode(),
        lambda: text().removesuffix("\n").encode(),
        lambda: by_pandas().encode(),
        lambda: by_pandas(keep_default_na=False).encode(),
        lambda: twice_indexed().encode(),
        lambda: text([[*row[:6], row[6].replace(";", "|")] for row in ROWS]).encode(),
        lambda: text([[*row[:6], row[6].replace(";", ", ")] for row in ROWS]).encode(),
        lambda: text([[*row, "", ""] for row in ROWS]).replace("labels", "labels,,").encode(),
        lambda: text(random.Random(0).sample(ROWS, 4)).encode(),
    ],
)
def test_what_can_mean_one_thing_is_read(
    tmp_path: Path, plain: Predictions, make: Callable[[], bytes]
) -> None:
    """Marks, separators, decimal commas, line ends, an index, another order: the same values."""
    file = tmp_path / "saved.csv"
    file.write_bytes(make())
    equal(read_predictions(file), plain)


@pytest.mark.parametrize(
    ("separator", "between"), [(";", "|"), (";", ";"), (",", ","), ("\t", ";")]
)
def test_separators_replaced_as_text_are_read_where_labels_stay_apart(
    tmp_path: Path, plain: Predictions, separator: str, between: str
) -> None:
    """What is too much at the end of a row can only be further labels."""
    file = tmp_path / "saved.csv"
    file.write_text(unquoted(separator, between), encoding="utf-8")
    found = read_predictions(file)
    assert found.paths == ("a.jpg", "café.jpg")
    rows = [plain.paths.index(path) for path in found.paths]
    np.testing.assert_array_equal(found.probabilities, plain.probabilities[rows])
    assert plain.predicted is not None
    np.testing.assert_array_equal(found.predicted, plain.predicted[rows])


def test_a_separator_inside_a_class_name_is_not_one_between_labels(tmp_path: Path) -> None:
    """'cat|dog' is a class here, and the label of one row."""
    file = tmp_path / "p.csv"
    file.write_text("path,status,error,cat,dog,cat|dog,labels\na.jpg,ok,,0.1,0.2,0.9,cat|dog\n")
    assert read_predictions(file).predicted.tolist() == [[False, False, True]]  # type: ignore[union-attr]


def test_a_file_that_may_have_lost_its_end_is_said_to(tmp_path: Path) -> None:
    """Cut between two labels, a row looks whole; what is missing is the line end."""
    for cut, noted in ((0, False), (1, True), (5, True)):
        file = tmp_path / f"{cut}.csv"
        data = text([ROWS[1], ROWS[0]]).encode()
        file.write_bytes(data[: len(data) - cut])
        notes = read_predictions(file).notes
        assert bool(notes) == noted
        if notes:
            assert notes == (f"{file} has no final line ending: its last row may be truncated",)


HALF = text(ROWS[:2])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty: the first line must be path,status,error"),
        (b"\xef\xbb\xbf", "it is empty: the first line must be"),
        (text(commas(ROWS)).replace('"', "").encode(), "line 2: 9 columns instead of 7 (decimal"),
        (text([*ROWS, ROWS[0]]).encode(), "line 6: a.jpg is a duplicate (keep one of its rows)"),
        (HALF.encode()[:70], "line 2: 6 columns instead of 7 (truncated?)"),
        (HALF.encode()[:-5], "line 3: no probability for potted p (written with `top_k` or"),
        (
            text().replace("0.75", "75%").encode(),
            "line 2: could not convert string to float: '75%'",
        ),
        (text().replace("0.75", "0,75,1").encode(), "line 2: 9 columns instead of 7"),
        (b"PK\x03\x04rest", "an Excel workbook or another zip archive. Save it as CSV"),
        (b"\x1f\x8brest", "compressed with gzip. Decompress it"),
        (b'{"path": "a.jpg"}\n', "JSON. Rename JSON lines to end in .jsonl"),
        (text().encode("utf-16")[:-1], "not utf-16 text (truncated data)"),
        (b"index,other," + text().encode(), "the first line must be path,status,error"),
        (b"path;status\na;ok\n", "the first line must be path,status,error"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_cure(
    tmp_path: Path, data: bytes, says: str
) -> None:
    """Where, what, and what to do; never a traceback."""
    file = tmp_path / "saved.csv"
    file.write_bytes(data)
    with pytest.raises(EvalError) as caught:
        read_predictions(file)
    line = str(caught.value)
    assert says in line
    assert line.startswith(str(file))
    assert "\n" not in line
    assert "core again" in line or "as 'vocscore score' writes it" in line


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    """With a first line for spreadsheets, too."""
    file = tmp_path / "saved.csv"
    file.write_text("sep=;\n" + text([ROWS[0], ROWS[0]], separator=";"))
    with pytest.raises(EvalError, match=r"line 4: a\.jpg is a duplicate"):
        read_predictions(file)


def test_json_lines_with_a_mark_and_other_line_ends_are_read(tmp_path: Path) -> None:
    """As an editor on Windows leaves them."""
    row = {"path": "a.jpg", "status": "ok", "probabilities": {"cat": 0.5}, "labels": ["cat"]}
    file = tmp_path / "p.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + f"{json.dumps(row)}\r\n".encode() * 1)
    assert read_predictions(file).paths == ("a.jpg",)


@pytest.mark.parametrize("name", ["p.jsonl", "p.parquet", "p.csv"])
def test_an_empty_file_of_any_format_is_one_line(tmp_path: Path, name: str) -> None:
    """Exit code 2, and the file's name."""
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "shards").mkdir()
    done = CliRunner().invoke(main, ["eval", str(tmp_path / name), str(tmp_path / "shards")])
    assert done.exit_code == 2
    assert done.output.startswith(f"Error: {tmp_path / name}: ")
    assert done.output.count("\n") == 1
