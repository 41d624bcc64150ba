"""Names, numbers and labels come back exactly from every format, by every reader in the docs."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import readers
from written_rows import (
    CLASSES,
    ODD_NAMES,
    ORIGIN,
    cut,
    expected,
    odd_rows,
    write_file,
    write_folder,
)

from shards.errors import Fault, Reason
from vocscore.errors import EvalError
from vocscore.evaluation.predictions import read_predictions
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.output.rows import Rows

READERS = [
    readers.csv_module,
    readers.csv_pandas,
    readers.jsonl,
    readers.jsonl_duckdb,
    readers.jsonl_pandas,
    readers.parquet_pyarrow,
    readers.parquet_pandas,
    readers.parquet_duckdb,
]


def suffix(reader) -> str:
    return reader.__name__.partition("_")[0]


@pytest.fixture(scope="module")
def rows():
    return odd_rows()


@pytest.fixture(scope="module")
def text_rows(rows):
    """Those whose names are valid UTF-8: DuckDB's CSV reader takes no others."""
    kept = [
        i for i, name in enumerate(ODD_NAMES) if name.encode("utf-8", "replace").decode() == name
    ]
    failures = {kept.index(i): f for i, f in rows.failures.items() if i in kept}
    assert len(kept) == len(ODD_NAMES) - 3
    return Rows([ODD_NAMES[i] for i in kept], rows.probabilities[kept], failures)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_file_comes_back_exactly(tmp_path, rows, reader):
    """Every odd name, class, detail, float32 and label, in order, from the file."""
    file = write_file(tmp_path / f"out.{suffix(reader)}", cut(rows, at=7))
    assert reader(file) == expected(rows)


def test_a_csv_comes_back_from_duckdb(tmp_path, text_rows):
    """The same by DuckDB, for names that are UTF-8."""
    file = write_file(tmp_path / "out.csv", cut(text_rows, at=7))
    assert readers.csv_duckdb(file) == expected(text_rows)


@pytest.mark.parametrize(
    ("reader", "pattern"),
    [
        (readers.csv_duckdb, "*.csv"),
        (readers.jsonl_duckdb, "*.jsonl"),
        (readers.parquet_duckdb, "*.parquet"),
        (readers.parquet_pandas, ""),
        (readers.parquet_pyarrow, ""),
    ],
)
def test_a_folder_of_parts_comes_back_as_one_table(tmp_path, text_rows, reader, pattern):
    """A folder is one table in the order of its parts; a part without rows does no harm."""
    first, second = cut(text_rows, at=7)
    empty = Rows([], np.zeros((0, len(CLASSES)), np.float32), {})
    folder = write_folder(tmp_path / "out", suffix(reader), [first, empty, second])
    assert reader(folder / pattern) == expected(text_rows)


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_eval_reads_every_format(tmp_path, rows, name):
    """A file and a folder of each format give `vocscore eval` the same bits."""
    units = cut(rows, at=9)
    for source in (
        write_file(tmp_path / f"out.{name}", units),
        write_folder(tmp_path / "folder", name, units),
    ):
        found = read_predictions(source)
        assert found.classes == CLASSES
        assert found.paths == tuple(ODD_NAMES)
        assert np.flatnonzero(found.failed).tolist() == sorted(rows.failures)
        good = ~found.failed
        assert np.array_equal(found.probabilities[good], rows.probabilities[good])
        assert np.isnan(found.probabilities[found.failed]).all()


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (Selection(top_k=1), "no probability for|a probability for|only the largest"),
        (Selection(min_probability=0.4), "no probability for|a probability for"),
        (Selection(columns="labels"), "contains no probabilities"),
    ],
)
def test_eval_refuses_what_lacks_probabilities(tmp_path, rows, name, selection, says):
    """A selection cannot be compared: one line that says where, and which option to leave out."""
    file = write_file(tmp_path / f"out.{name}", [rows], selection=selection)
    with pytest.raises(EvalError, match=says) as caught:
        read_predictions(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)
    assert "`" in str(caught.value)


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_eval_reads_probabilities_without_labels(tmp_path, rows, name):
    """`--columns probabilities` is enough for eval."""
    file = write_file(
        tmp_path / f"out.{name}", [rows], selection=Selection(columns="probabilities")
    )
    assert read_predictions(file).classes == CLASSES


def test_eval_refuses_an_unfinished_or_foreign_folder(tmp_path, rows):
    """A folder with a stranger's file, with a gap in its parts, or empty is refused."""
    folder = write_folder(tmp_path / "out", "jsonl", cut(rows, at=9))
    (folder / "plan.json").touch()
    with pytest.raises(
        EvalError, match=r"not a complete folder of parts .* \(it contains plan.json\)"
    ):
        read_predictions(folder)
    (folder / "plan.json").unlink()
    (folder / "part-000000.jsonl").unlink()
    with pytest.raises(EvalError, match=r"1 parts, and the last is part-000001.jsonl; some are mi"):
        read_predictions(folder)
    (folder / "part-000001.jsonl").unlink()
    with pytest.raises(EvalError, match="it is empty"):
        read_predictions(folder)


@pytest.mark.parametrize("data", [b"PAR1", b"", None], ids=["cut", "empty", "foreign"])
def test_eval_refuses_another_parquet(tmp_path, data):
    """Damage, or a table from elsewhere, is one line."""
    file = tmp_path / "a.parquet"
    if data is None:
        pq.write_table(pa.table({"path": ["a"]}), file)
    else:
        file.write_bytes(data)
    with pytest.raises(EvalError, match="not predictions in Parquet") as caught:
        read_predictions(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2: Expecting"),
        ('{"path": "b"}', "line 2: no 'status'"),
        ('{"path": "a", "status": "error"}', "line 2: a is a duplicate"),
        ('{"path": "b", "status": "ok", "probabilities": {"x": "high"}}', "line 2: must be real"),
        ('{"path": "b", "status": "ok", "probabilities": null}', "line 2: "),
        ('{"path": "b", "status": "ok", "probabilities": {"x": 1.5}}', "b has 1.5 for x"),
        ("[]", "line 2: "),
    ],
)
def test_eval_names_the_line_of_a_damaged_object(tmp_path, line, says):
    """A JSON line that says nothing usable is named by its number."""
    file = tmp_path / "a.jsonl"
    file.write_text('{"path": "a", "status": "ok", "probabilities": {"x": 0.5}}\n' + line + "\n")
    with pytest.raises(EvalError, match=says):
        read_predictions(file)


def test_a_parquet_says_where_its_rows_come_from(tmp_path, rows):
    """Classes, checkpoint, Preprocess, threshold, version and selection are in the metadata."""
    file = write_file(tmp_path / "out.parquet", cut(rows, at=7), selection=Selection(top_k=3))
    about = json.loads(pq.read_metadata(file).metadata[b"vocscore"])
    assert about == {
        **ORIGIN,
        "classes": list(CLASSES),
        "threshold": 0.5,
        "selection": {"columns": "all", "top_k": 3, "min_probability": 0.0},
    }
    found = readers.duck(
        "SELECT value FROM parquet_kv_metadata(?) WHERE key = 'vocscore'", str(file)
    )
    assert json.loads(found[0]["value"]) == about


def test_a_parquet_has_one_group_of_rows_a_part_and_plain_types(tmp_path, rows):
    """Types are those that every reader knows; an empty part leaves no empty group."""
    empty = Rows([], np.zeros((0, len(CLASSES)), np.float32), {})
    file = write_file(tmp_path / "out.parquet", [empty, *cut(rows, at=7), empty])
    metadata = pq.read_metadata(file)
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [7, 16]
    types = {column.name: str(column.type) for column in pq.read_schema(file)}
    assert types == {
        "path": "string",
        "status": "string",
        "error": "string",
        **dict.fromkeys(CLASSES, "float"),
        "labels": "list<element: string>",
        "path_bytes": "binary",
    }


def test_names_that_are_no_utf8_can_be_read_by_people_and_told_apart(tmp_path):
    r"""`caf\xe9.jpg` stands for a byte in `path`; `path_bytes` is there for such names only."""
    names = [b"caf\xe9.jpg".decode("utf-8", "surrogateescape"), r"caf\xe9.jpg"]
    unit = Rows(names, np.full((2, len(CLASSES)), 0.25, np.float32), {})
    found = pq.read_table(write_file(tmp_path / "out.parquet", [unit])).to_pylist()
    assert [(row["path"], row["path_bytes"]) for row in found] == [
        (r"caf\xe9.jpg", b"caf\xe9.jpg"),
        (r"caf\xe9.jpg", None),
    ]
    lines = write_file(tmp_path / "out.jsonl", [unit]).read_text("ascii").splitlines()
    assert [json.loads(line).get("path_bytes") for line in lines] == [b"caf\xe9.jpg".hex(), None]


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_half_a_surrogate_pair_stops_no_run_and_harms_no_other_name(tmp_path, name):
    """A name that no file system has, from a stranger's JSON, is written somehow."""
    names = ["a\ud800.jpg", "b.jpg", b"caf\xe9.jpg".decode("utf-8", "surrogateescape")]
    failures = {1: Fault(Reason.CORRUPT, "half \udc00")}
    unit = Rows(names, np.zeros((3, len(CLASSES)), np.float32), failures)
    found = read_predictions(write_file(tmp_path / f"out.{name}", [unit]))
    assert found.paths[1:] == tuple(names[1:])


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_every_float32_is_read_back_bit_for_bit(tmp_path, name):
    """10,000 numbers from 0 to 1, tiny ones and both ends included."""
    bits = np.random.default_rng(0).integers(0, 0x3F800001, (2500, len(CLASSES)))
    values = bits.astype(np.int32).view(np.float32)
    values[0] = [0, 1, np.float32(1e-45), np.nextafter(np.float32(1), np.float32(0))]
    unit = Rows([f"{i}.jpg" for i in range(len(values))], values, {})
    found = read_predictions(write_file(tmp_path / f"out.{name}", [unit]))
    assert np.array_equal(found.probabilities.view(np.int32), values.view(np.int32))
