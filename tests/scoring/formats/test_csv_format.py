from __future__ import annotations

import csv
import io
import os

import numpy as np
import pytest

from shards.errors import Fault, Reason
from vocscore.scoring.formats.csv_format import CsvFormat, quoted
from vocscore.scoring.formats.numbers import shortened
from vocscore.scoring.output.rows import Rows

ODD_NAMES = [
    "plain.jpg",
    "comma, and space .jpg",
    'quo"te".jpg',
    "line\nend.jpg",
    "carriage\rreturn.jpg",
    "=1+1.jpg",
    " leading.jpg",
    "naïve-日本.jpg",
    os.fsdecode(b"caf\xe9.jpg"),
    "'; drop.jpg",
]


def written(names, probabilities, failures=None, *, classes=("cat", "dog"), threshold=0.5):
    """The whole file, as bytes."""
    form = CsvFormat(classes, threshold)
    part = io.BytesIO()
    form.write(part, Rows(names, np.asarray(probabilities, np.float32), failures or {}))
    header = io.BytesIO()
    form.merge(header, [])
    return header.getvalue() + part.getvalue()


def read(data):
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8", errors="surrogateescape", newline="")
    return list(csv.DictReader(text))


def test_the_file_is_exactly_this():
    """The header, a good row, a bad row, byte for byte."""
    failures = {1: Fault(Reason.TRUNCATED, "the file ends early")}
    data = written(["a.jpg", "b.jpg"], [[0.75, 0.1], [0, 0]], failures)
    assert data == (
        b"path,status,error,cat,dog,labels\n"
        b"a.jpg,ok,,0.75,0.1,cat\n"
        b"b.jpg,error,truncated: the file ends early,,,\n"
    )


def test_odd_names_come_back_through_csv_reader():
    """Commas, quotes, line ends, formulas, other encodings: csv.reader gives every name back."""
    rows = read(written(ODD_NAMES, np.full((len(ODD_NAMES), 2), 0.5)))
    assert [row["path"] for row in rows] == ODD_NAMES


def test_bytes_that_are_no_utf8_stand_in_the_file_as_they_are():
    """A Latin-1 file name is written with its own bytes."""
    assert b"caf\xe9.jpg," in written([os.fsdecode(b"caf\xe9.jpg")], [[0, 0]])


def test_half_a_surrogate_pair_does_not_stop_a_run():
    """A name that no file system has, from a stranger's JSON, is written somehow."""
    assert len(read(written(["a\ud800.jpg", "b.jpg"], np.zeros((2, 2))))) == 2


def test_odd_class_names_and_details_are_quoted():
    """Class names and error details with commas come back."""
    failures = {0: Fault(Reason.CORRUPT, 'he said "no", twice')}
    rows = read(written(["a"], [[0, 0]], failures, classes=("a,b", "50%s")))
    assert rows[0]["error"] == 'corrupt: he said "no", twice'
    assert set(rows[0]) >= {"a,b", "50%s"}


def test_labels_with_odd_class_names_are_quoted():
    """A label with a comma does not break the row."""
    rows = read(written(["a"], [[0.9, 0.8]], classes=("a,b", "c")))
    assert rows[0]["labels"] == "a,b;c"


def test_quoting_agrees_with_csv_writer():
    """Fields are quoted as Python's csv.writer does, for what every version quotes."""
    for name in ODD_NAMES:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow([name, "x"])
        assert line.getvalue() == f"{quoted(name)},x\r\n"


@pytest.fixture(scope="module")
def all_sizes():
    """float32 from 0 to 1: any bit pattern, ordinary probabilities, and the ends."""
    chance = np.random.default_rng(0)
    bits = chance.integers(0, 0x3F800001, 100_000).astype(np.int32).view(np.float32)
    usual = chance.random(100_000, np.float32)
    powers = np.float32(10.0) ** -np.arange(38, dtype=np.float32)
    halves = np.float32(0.5) ** np.arange(150, dtype=np.float32)
    ends = np.array([0, 1, np.nextafter(np.float32(1), np.float32(0))], np.float32)
    return np.concatenate([bits, usual, powers, halves, ends])


def test_outputs_without_an_activation_read_back_too():
    """Negative numbers and numbers above 1, up to the largest."""
    chance = np.random.default_rng(1)
    bits = chance.integers(0, 0x7F800000, 100_000).astype(np.int32).view(np.float32)
    values = np.concatenate([bits, -bits, np.array([1.5, -17.25, 1e8, 16777216], np.float32)])
    texts = [f"{value:.9g}" for value in shortened(values).tolist()]
    assert np.array_equal(np.array([float(text) for text in texts], np.float32), values)
    assert texts[-3] == "-17.25"


def test_every_written_number_reads_back_as_the_same_float32(all_sizes):
    """Text to float64 to float32, and text to float32, give the bits that were written."""
    texts = [f"{value:.9g}" for value in shortened(all_sizes).tolist()]
    assert np.array_equal(np.array([float(text) for text in texts], np.float32), all_sizes)
    assert np.array_equal(np.array(texts).astype(np.float32), all_sizes)


def test_numbers_are_as_short_as_numpys(all_sizes):
    """The text is NumPy's shortest form, in value, but for fewer than 1 in 1,000."""
    texts = [f"{value:.9g}" for value in shortened(all_sizes).tolist()]
    longer = sum(float(text) != float(str(v)) for text, v in zip(texts, all_sizes, strict=True))
    assert longer < len(all_sizes) / 1000


@pytest.mark.parametrize("threshold", [0.001, 0.1, 0.3, 0.5, 0.7, 0.123456, 1.0])
def test_labels_are_the_classes_whose_written_number_reaches_the_threshold(threshold):
    """Comparing the text with the threshold gives `labels`, also next to the threshold."""
    at = np.float32(threshold)
    near = np.array(
        [[np.nextafter(at, np.float32(0)), at, min(np.nextafter(at, np.float32(2)), 1)]]
    )
    (row,) = read(written(["a"], near, classes=("below", "at", "above"), threshold=threshold))
    reached = [name for name in ("below", "at", "above") if float(row[name]) >= threshold]
    assert row["labels"].split(";") == reached == ["at", "above"]


def test_many_rows_are_written_in_order_across_chunks():
    """10,000 rows, with errors here and there, all come back beside their own names."""
    probabilities = np.random.default_rng(1).random((10_000, 3), np.float32)
    failures = {i: Fault(Reason.EMPTY, f"no bytes in {i}") for i in range(5, 10_000, 1000)}
    names = [f"{i}.jpg" for i in range(10_000)]
    rows = read(written(names, probabilities, failures, classes=("a", "b", "c")))
    assert [row["path"] for row in rows] == names
    for i, row in enumerate(rows):
        if i in failures:
            assert row["error"] == f"empty: no bytes in {i}"
            assert (row["a"], row["b"], row["c"], row["labels"]) == ("", "", "", "")
        else:
            assert np.array_equal(np.float32([row["a"], row["b"], row["c"]]), probabilities[i])


def test_parts_are_joined_behind_one_header(tmp_path):
    """Merging writes the header once and the parts in the order given."""
    for name, text in (("x", "1\n"), ("y", "2\n3\n")):
        (tmp_path / name).write_text(text)
    out = io.BytesIO()
    CsvFormat(("cat",), 0.5).merge(out, [tmp_path / "y", tmp_path / "x"])
    assert out.getvalue() == b"path,status,error,cat,labels\n2\n3\n1\n"
