"""Every way to read predictions that the documentation names; all of them give the same rows."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from written_rows import CLASSES

if TYPE_CHECKING:
    from pathlib import Path


def paired(values) -> dict:
    """Classes and float32 probabilities; there must be one for each class."""
    return dict(zip(CLASSES, map(np.float32, values), strict=True))


def row(path, status, error, values, labels) -> dict:
    """As `written_rows.expected` has it."""
    failed = status == "error"
    return {
        "path": path,
        "status": status,
        "error": error,
        "probabilities": None if failed else paired(values),
        "labels": labels,
    }


def exact(path: str, raw: bytes | str | None) -> str:
    """The name as Python's file functions take it."""
    if isinstance(raw, str):
        raw = bytes.fromhex(raw)
    return path if not isinstance(raw, bytes) else raw.decode("utf-8", "surrogateescape")


def split_labels(cell: str, status: str) -> list[str] | None:
    """The labels of a CSV row."""
    if status == "error":
        return None
    return cell.split(";") if cell else []


def csv_module(file: Path) -> list[dict]:
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as opened:
        return [
            row(
                r["path"],
                r["status"],
                r["error"] or None,
                [r[c] for c in CLASSES if r[c]],
                split_labels(r["labels"], r["status"]),
            )
            if r["status"] == "ok"
            else row(r["path"], "error", r["error"], (), None)
            for r in csv.DictReader(opened)
        ]


def csv_pandas(file: Path) -> list[dict]:
    table = pd.read_csv(
        file,
        encoding_errors="surrogateescape",
        keep_default_na=False,
        na_values=dict.fromkeys(CLASSES, ""),
        dtype={"path": object, "error": object, "labels": object}
        | dict.fromkeys(CLASSES, np.float32),
        lineterminator="\n",
    )
    return [
        row(
            r["path"],
            r["status"],
            r["error"] or None,
            [r[c] for c in CLASSES],
            split_labels(r["labels"], r["status"]),
        )
        for r in table.to_dict("records")
    ]


def jsonl(file: Path) -> list[dict]:
    """Also proves that each line is strict JSON with the keys in order."""
    found = []
    for line in file.read_bytes().splitlines():
        r = json.loads(line.decode("ascii"))
        values = (r["probabilities"] or {}).values()
        found.append(
            row(exact(r["path"], r.get("path_bytes")), r["status"], r["error"], values, r["labels"])
        )
    return found


def table_rows(records: list[dict]) -> list[dict]:
    """Rows of a table with one column a class."""
    return [
        row(
            exact(r["path"], r["path_bytes"]),
            r["status"],
            r["error"] if isinstance(r["error"], str) else None,
            [r[c] for c in CLASSES],
            None if r["labels"] is None else list(r["labels"]),
        )
        for r in records
    ]


def parquet_pyarrow(file: Path) -> list[dict]:
    return table_rows(pq.read_table(file).to_pylist())


def parquet_pandas(file: Path) -> list[dict]:
    return table_rows(pd.read_parquet(file).to_dict("records"))


def duck(query: str, *values) -> list[dict]:
    """Rows of a query, as pyarrow has them."""
    with duckdb.connect() as connection:
        cursor = connection.execute(query, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, r, strict=True)) for r in cursor.fetchall()]


def parquet_duckdb(file: Path) -> list[dict]:
    return table_rows(duck("SELECT * FROM read_parquet(?)", str(file)))


def csv_duckdb(file: Path) -> list[dict]:
    """DuckDB's CSV reader takes UTF-8 only; a name of other bytes would be an error."""
    types = {"path": "VARCHAR", "status": "VARCHAR", "error": "VARCHAR"}
    types |= dict.fromkeys(CLASSES, "FLOAT") | {"labels": "VARCHAR"}
    query = (
        "SELECT * FROM read_csv(?, columns=?, header=true, auto_detect=false, delim=',', "
        "quote='\"', escape='\"', nullstr='', force_not_null=['path', 'labels'])"
    )
    return [
        row(
            r["path"],
            r["status"],
            r["error"],
            [r[c] for c in CLASSES],
            split_labels(r["labels"], r["status"]),
        )
        for r in duck(query, str(file), types)
    ]


def jsonl_duckdb(file: Path) -> list[dict]:
    types = {"path": "VARCHAR", "status": "VARCHAR", "error": "VARCHAR"}
    types |= {"probabilities": "MAP(VARCHAR, FLOAT)", "labels": "VARCHAR[]"}
    types |= {"path_bytes": "VARCHAR"}
    return [
        row(
            exact(r["path"], r["path_bytes"]),
            r["status"],
            r["error"],
            (r["probabilities"] or {}).values(),
            r["labels"],
        )
        for r in duck("SELECT * FROM read_json(?, columns=?)", str(file), types)
    ]


def jsonl_pandas(file: Path) -> list[dict]:
    table = pd.read_json(file, lines=True, dtype=False, precise_float=True)
    return [
        row(
            exact(r["path"], r["path_bytes"]),
            r["status"],
            r["error"] if isinstance(r["error"], str) else None,
            r["probabilities"].values() if r["status"] == "ok" else (),
            r["labels"] if r["status"] == "ok" else None,
        )
        for r in table.to_dict("records")
    ]
