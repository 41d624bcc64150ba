"""Which probabilities are written, worked out by hand."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from written_rows import write_file

from shards.errors import Fault, Reason
from vocscore.errors import ScoreError
from vocscore.scoring.formats.selection import EVERYTHING, Selection
from vocscore.scoring.output.rows import Rows

CLASSES = ("cat", "dog", "person")
UNIT = Rows(
    ["a", "b", "c"],
    np.float32([[0.25, 0.75, 0.5], [0, 0, 0], [0.5, 0.5, 0.5]]),
    {1: Fault(Reason.EMPTY, "no bytes")},
)


def written(tmp_path, **choice):
    """The rows of each format with this selection, as (path, probabilities, labels)."""
    selection = Selection(**choice)
    return {
        name: read(write_file(tmp_path / f"o.{name}", [UNIT], selection=selection, classes=CLASSES))
        for name, read in (("csv", read_csv), ("jsonl", read_jsonl), ("parquet", read_parquet))
    }


def read_csv(file):
    with file.open(newline="") as opened:
        for row in csv.DictReader(opened):
            # of the K largest: label_1, probability_1, ...
            ranks = [name[6:] for name in row if re.fullmatch(r"label_\d+", name)]
            pairs = {f"{what}_{rank}" for rank in ranks for what in ("label", "probability")}
            assert set(row) - set(CLASSES) - pairs <= {"path", "status", "error", "labels"}
            values = {c: float(row[c]) for c in CLASSES if row.get(c)}
            for rank in ranks:
                if row[f"label_{rank}"]:
                    values[row[f"label_{rank}"]] = float(row[f"probability_{rank}"])
            labels = row["labels"].split(";") if row.get("labels") else []
            yield row["path"], values, labels


def read_jsonl(file):
    for line in file.read_text().splitlines():
        row = json.loads(line)
        assert list(row)[:3] == ["path", "status", "error"]
        yield row["path"], row.get("probabilities") or {}, row.get("labels") or []


def read_parquet(file):
    for row in pq.read_table(file).to_pylist():
        values = {c: row[c] for c in CLASSES if row.get(c) is not None}
        yield row["path"], values, row.get("labels") or []


ALL_A = {"cat": 0.25, "dog": 0.75, "person": 0.5}
ALL_C = {"cat": 0.5, "dog": 0.5, "person": 0.5}
A, C = ["dog", "person"], ["cat", "dog", "person"]


@pytest.mark.parametrize(
    ("choice", "a", "c"),
    [
        ({}, (ALL_A, A), (ALL_C, C)),
        ({"top_k": 1}, ({"dog": 0.75}, A), ({"cat": 0.5}, C)),
        ({"top_k": 2}, ({"dog": 0.75, "person": 0.5}, A), ({"cat": 0.5, "dog": 0.5}, C)),
        ({"top_k": 9}, (ALL_A, A), (ALL_C, C)),
        ({"min_probability": 0.5}, ({"dog": 0.75, "person": 0.5}, A), (ALL_C, C)),
        ({"min_probability": 0.6}, ({"dog": 0.75}, A), ({}, C)),
        ({"top_k": 1, "min_probability": 0.6}, ({"dog": 0.75}, A), ({}, C)),
        ({"columns": "labels"}, ({}, A), ({}, C)),
        ({"columns": "probabilities"}, (ALL_A, []), (ALL_C, [])),
        ({"columns": "probabilities", "top_k": 1}, ({"dog": 0.75}, []), ({"cat": 0.5}, [])),
    ],
)
def test_every_format_writes_what_was_selected(tmp_path, choice, a, c):
    """The largest, the first of equal ones, those from the limit on; labels as they are."""
    for name, rows in written(tmp_path, **choice).items():
        assert list(rows) == [("a", *a), ("b", {}, []), ("c", *c)], name


def test_columns_left_out_are_not_in_the_file(tmp_path):
    """Without labels or probabilities there is no such column or key at all."""
    for columns, header, keys in (
        ("labels", "path,status,error,labels", ["labels"]),
        ("probabilities", "path,status,error,cat,dog,person", ["probabilities"]),
    ):
        choice = Selection(columns=columns)
        file = write_file(tmp_path / "o.csv", [UNIT], selection=choice, classes=CLASSES)
        lines = file.read_text().splitlines()
        assert lines[0] == header
        assert {len(row) for row in csv.reader(lines)} == {header.count(",") + 1}
        file = write_file(tmp_path / "o.jsonl", [UNIT], selection=choice, classes=CLASSES)
        for line in file.read_text().splitlines():
            assert list(json.loads(line))[3:] == keys
        file = write_file(tmp_path / "o.parquet", [UNIT], selection=choice, classes=CLASSES)
        assert [*pq.read_schema(file).names[:-1]] == header.split(",")


def test_ties_go_to_the_first_classes_whatever_the_number_of_classes():
    """Of 1,000 equal probabilities the first k are kept (NumPy's default sort would not do it)."""
    kept = Selection(top_k=7).kept(np.full((3, 1000), 0.5, np.float32))
    assert (np.flatnonzero(kept[1]) == np.arange(7)).all()


def test_a_limit_is_compared_as_float32():
    """0.1 as float32 is above 0.1 as float64: both sides are rounded alike."""
    values = np.float32([[0.7, np.nextafter(np.float32(0.7), np.float32(0))]])
    assert Selection(min_probability=0.7).kept(values).tolist() == [[True, False]]


def test_choosing_among_nothing_is_refused():
    """Labels alone have no probabilities to choose from."""
    for choice in ({"top_k": 1}, {"min_probability": 0.1}, {"decimals": 3}):
        with pytest.raises(ScoreError, match="`columns='labels'`"):
            Selection(columns="labels", **choice)
    assert EVERYTHING.is_everything
