"""`--top-k` in CSV: columns `label_1,probability_1,...`, and what readers of CSV make of them."""

from __future__ import annotations

import csv
import json
from itertools import chain
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
import pytest
from written_predictions import HOSTILE, draw

from vocscore.columns.open import open_table
from vocscore.errors import EvalError, ScoreError
from vocscore.evaluation.predictions import read_predictions
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.relabel import relabel

if TYPE_CHECKING:
    from pathlib import Path

    from written_predictions import Drawn

    from vocscore.columns.table import Table

ODD_CLASSES = ("a,b", 'say "no"', "line\nend", "caf\udce9", "<script>", "path", "ab")


def rows_of(file: Path, **dialect: str) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as opened:
        return list(csv.reader(opened, **dialect))


def ranked(drawn: Drawn, row: int, k: int, least: float) -> list[tuple[str, np.float32]]:
    """The pairs of a row by brute force: sorted by probability, equal ones by class."""
    values = drawn.probabilities[row]
    order = sorted(range(len(drawn.classes)), key=lambda c: (-values[c], c))[:k]
    return [(drawn.classes[c], values[c]) for c in order if values[c] >= np.float32(least)]


def test_the_file_is_exactly_this(tmp_path: Path) -> None:
    """A tie, a row below the minimum, an error: byte for byte."""
    drawn = draw(3, names=("a", "b", "c"), failing=(2,))
    drawn.probabilities[:2] = [[0.25, 0.75, 0.75], [0.125, 0.0625, 0.5]]
    file = drawn.write(tmp_path / "p.csv", selection=Selection(top_k=2, min_probability=0.2))
    assert file.read_bytes() == (
        b"path,status,error,label_1,probability_1,label_2,probability_2,labels\n"
        b"a,ok,,dog,0.75,bird,0.75,dog;bird\n"
        b"b,ok,,bird,0.5,,,bird\n"
        b"c,error,truncated: detail of 2,,,,,\n"
    )


@pytest.mark.parametrize("columns", ["all", "probabilities"])
@pytest.mark.parametrize(("k", "least"), [(1, 0.0), (3, 0.3), (7, 0.0), (9, 0.9)])
def test_pairs_are_sorted_and_read_back_exactly(
    columns: str, k: int, least: float, tmp_path: Path
) -> None:
    """The K largest with all their bits, whatever the names; K above the classes adds nothing."""
    drawn = draw(60, ODD_CLASSES, names=HOSTILE, failing=(4, 59))
    selection = Selection(columns, top_k=k, min_probability=least)
    header, *rows = rows_of(drawn.write(tmp_path / "p.csv", selection=selection))
    pairs = min(k, 7)
    names = [(f"label_{n}", f"probability_{n}") for n in range(1, pairs + 1)]
    last = ["labels"] * (columns == "all")
    assert header == ["path", "status", "error", *chain(*names), *last]
    assert [row[0] for row in rows] == list(drawn.names)
    for number, row in enumerate(rows):
        assert len(row) == len(header)
        cells = [cell for cell in row[3 : 3 + 2 * pairs] if cell]
        want = [] if number in drawn.failures else ranked(drawn, number, k, least)
        assert [(n, np.float32(p)) for n, p in zip(cells[::2], cells[1::2], strict=True)] == want
        if last:
            above = drawn.probabilities[number] >= np.float32(0.5)
            told = [name for name, over in zip(drawn.classes, above, strict=True) if over]
            assert row[-1] == ";".join(told)


def test_pandas_and_duckdb_read_them(tmp_path: Path) -> None:
    """The best class of every image, as the snippets of the documentation ask for it."""
    drawn = draw(50, failing=(7,))
    file = drawn.write(tmp_path / "p.csv", selection=Selection(top_k=2))
    good = [row for row in range(50) if row != 7]
    best = [drawn.classes[c] for c in drawn.probabilities.argmax(axis=1)]
    table = pd.read_csv(file)
    assert table["label_1"][good].tolist() == [best[row] for row in good]
    assert table["label_1"].isna().sum() == 1
    highest = table["probability_1"][good].to_numpy(np.float32)
    np.testing.assert_array_equal(highest, drawn.probabilities.max(axis=1)[good])
    query = f"SELECT label_1, count(*) FROM '{file}' WHERE label_1 IS NOT NULL GROUP BY 1"
    counted = dict(duckdb.sql(query).fetchall())
    assert counted == {name: [best[row] for row in good].count(name) for name in set(best)}


def test_classes_named_like_these_columns_are_refused(tmp_path: Path) -> None:
    """With one column per class, a reader would take them for pairs."""
    names = ("label_1", "probability_1")
    for output, folder_format in (("p.csv", None), ("parts", "csv")):
        choice = choose(tmp_path / output, folder_format=folder_format)
        with pytest.raises(ScoreError, match=r"the class 'label_1' has the name .* Write \.jsonl"):
            choice.open(names, 0.5, selection=Selection(), origin={})
    drawn = draw(9, names)
    file = drawn.write(tmp_path / "p.csv", selection=Selection(top_k=1), record=drawn.record())
    assert open_table(file).classes == names


def test_eval_names_the_cure(tmp_path: Path) -> None:
    """Also for K = all classes, a folder of parts, and without labels."""
    drawn = draw(12)
    for number, (folder_format, k) in enumerate([(None, 1), (None, 3), ("csv", 2)]):
        output = tmp_path / (f"{number}" if folder_format else f"{number}.csv")
        selection = Selection(("all", "probabilities")[number % 2], top_k=k)
        source = drawn.write(output, folder_format=folder_format, selection=selection)
        with pytest.raises(EvalError, match=r"Score again without `top_k`\.$") as caught:
            read_predictions(source)
        assert str(source) in str(caught.value)
        assert "\n" not in str(caught.value)


def check_columns(table: Table, drawn: Drawn, k: int) -> None:
    """Probabilities where they were written, labels everywhere."""
    want = np.full_like(drawn.probabilities, np.nan)
    for row in range(len(drawn.names)):
        for name, value in ranked(drawn, row, k, 0.0) if row not in drawn.failures else ():
            want[row, drawn.classes.index(name)] = value
    found = np.stack([table.column(c) for c in range(len(drawn.classes))], axis=1)
    np.testing.assert_array_equal(found, want)
    for c in range(len(drawn.classes)):
        decided = (drawn.probabilities[:, c] >= 0.5) & ~table.failed
        np.testing.assert_array_equal(table.decided(c), decided)


@pytest.mark.parametrize("folder_format", [None, "csv"])
def test_the_page_reads_them(folder_format: str | None, tmp_path: Path) -> None:
    """With the classes of the record; a class that was not written has no probability."""
    drawn = draw(40, names=HOSTILE, failing=(3,))
    output = tmp_path / ("parts" if folder_format else "p.csv")
    selection = Selection(top_k=2)
    drawn.write(output, folder_format=folder_format, selection=selection, record=drawn.record())
    table = open_table(output)
    assert table.classes == drawn.classes
    assert not table.columns.about.has_all
    check_columns(table, drawn, 2)


def test_the_page_reads_them_as_a_spreadsheet_saves_them(tmp_path: Path) -> None:
    """With ';' between columns, and decimal commas."""
    drawn = draw(20)
    file = drawn.write(tmp_path / "p.csv", selection=Selection(top_k=2), record=drawn.record())
    rows = [[cell.replace("0.", "0,") for cell in row] for row in rows_of(file)]
    with file.open("w", newline="") as opened:
        csv.writer(opened, delimiter=";").writerows(rows)
    check_columns(open_table(file), drawn, 2)


@pytest.mark.parametrize("classes", [("cat", "dog", "bird"), ("cat", "dog", "bird", "cow")])
def test_the_page_reads_an_unfinished_run(classes: tuple[str, ...], tmp_path: Path) -> None:
    """Its parts have no header; four classes have as many columns as two pairs."""
    drawn = draw(20, classes, failing=(0, 13))
    selection = Selection(top_k=2)
    drawn.write(tmp_path / "p.csv", selection=selection, part_rows=10)
    work = (tmp_path / "p.csv.rows").rename(tmp_path / "p.csv.parts")
    (tmp_path / "p.csv").unlink()
    choice = choose(tmp_path / "p.csv", folder_format=None)
    (work / "plan.json").write_text(
        json.dumps({"output": choice.described(selection, drawn.classes)})
    )
    (work / "started.json").write_bytes(drawn.record().to_bytes())
    for part in range(2):
        (work / f"part-{part:06d}.json").write_text('{"rows": 10}')
    check_columns(open_table(tmp_path / "p.csv"), drawn, 2)


def test_without_a_record_or_with_another_one_the_page_says_so(tmp_path: Path) -> None:
    """The classes cannot be guessed from the largest ones."""
    drawn = draw(20)
    file = drawn.write(tmp_path / "p.csv", selection=Selection(top_k=1))
    with pytest.raises(EvalError, match=r"does not name its classes .* no record beside it"):
        open_table(file)
    other = draw(20, ("cow", "cat", "dog"))
    file = drawn.write(tmp_path / "q.csv", selection=Selection(top_k=3), record=other.record())
    with pytest.raises(EvalError, match=r"line 2: 'bird' is not among the classes of the record"):
        open_table(file)


@pytest.mark.parametrize("k", [1, 3])
def test_relabel_refuses_them(k: int, tmp_path: Path) -> None:
    """One line, nothing written; also if every class is there, since the layout would be lost."""
    drawn = draw(20)
    selection = Selection(top_k=k)
    output = choose(tmp_path / "p.csv", folder_format=None).described(selection, drawn.classes)
    file = drawn.write(tmp_path / "p.csv", selection=selection, record=drawn.record(output=output))
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(ScoreError, match="has not every probability"):
        relabel(file, tmp_path / "q.csv", thresholds_file=tmp_path / "t.json")
    assert not (tmp_path / "q.csv").exists()
