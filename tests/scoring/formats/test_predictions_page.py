"""The snippets of docs/predictions.md, run as they stand there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import duckdb
import numpy as np
import pytest
from written_rows import ODD_NAMES, write_file, write_folder

from shards.errors import Fault, Reason
from vocscore.scoring.output.rows import Rows

PAGE = (Path(__file__).parents[3] / "docs" / "predictions.md").read_text()
CLASSES = ("cat", "person")


def snippets(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def unit(names):
    values = np.random.default_rng(0).random((len(names), 2), np.float32)
    return Rows(names, values, {1: Fault(Reason.EMPTY, "no bytes")})


@pytest.fixture
def predictions(tmp_path, monkeypatch):
    """Lets a test write every output that the page names, and stand beside it."""
    monkeypatch.chdir(tmp_path)

    def write(names):
        for suffix in ("csv", "parquet", "jsonl"):
            write_file(tmp_path / f"predictions.{suffix}", [unit(names)], classes=CLASSES)
        write_folder(tmp_path / "predictions", "parquet", [unit(names)], classes=CLASSES)

    return write


def test_python_and_pandas_give_every_name_back(predictions):
    """Each Python snippet makes `rows` or `table` with every name, as text or bytes."""
    predictions(ODD_NAMES)
    found = snippets("python")
    assert len(found) == 5
    for snippet in found:
        made = {}
        exec(snippet, made)
        read = made["rows"] if "rows" in made else made["table"].to_dict("records")
        exact = not re.search("read_json|read_parquet", snippet)
        assert [r["path"] for r in read] == [name if exact else shown(name) for name in ODD_NAMES]
        if "read_parquet" in snippet:
            assert made["names"] == [os.fsencode(name) for name in ODD_NAMES]


def shown(name):
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def test_every_query_runs_in_duckdb(predictions):
    """Each DuckDB query is answered; those that select all rows give every UTF-8 name back."""
    names = [name for name in ODD_NAMES if shown(name) == name]
    predictions(names)
    (sql,) = snippets("sql")
    queries = [query for query in sql.split(";\n") if query.strip()]
    assert len(queries) == 5
    for query in queries:
        found = duckdb.sql(query).fetchall()
        assert found
        if query.strip().startswith("SELECT *"):
            assert [row[0] for row in found] == names
