"""Rows to a stream: units in order, bad inputs, and faults of the stream."""

from __future__ import annotations

import csv
import errno
import io
import os
import tempfile
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from score_doubles import CLASSES, FakeForward, FakeLoader, make_files, score_fake

from vocscore.errors import ReaderLeftError, ScoreError, StoppedOnPurposeError
from vocscore.scoring.bad_inputs.bad_inputs import BadInputs
from vocscore.scoring.bad_inputs.quarantine import Quarantine
from vocscore.scoring.engines.local import LocalEngine
from vocscore.scoring.formats.csv_format import CsvFormat
from vocscore.scoring.inputs.sources import read_source
from vocscore.scoring.output.rows import Rows
from vocscore.scoring.output.rows_stream import RowsStream
from vocscore.scoring.output.unit_record import UnitRecord
from vocscore.scoring.scoring import Scoring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORM = CsvFormat(CLASSES, 0.5)
NAMES = [f"{i:02d}{'bad' if i % 5 == 3 else ''}.jpg" for i in range(11)]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of temporary files, which must be empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def opened(stream: Any) -> RowsStream:
    return RowsStream(stream, header=lambda file: FORM.merge(file, ()))


def unit(names: list[str]) -> Rows:
    return Rows(names, np.full((len(names), 3), 0.25, np.float32), {})


def commit(rows: RowsStream, number: int, names: list[str]) -> None:
    rows.commit(number, UnitRecord(len(names)), lambda file: FORM.write(file, unit(names)))


def paths(data: bytes) -> list[str]:
    return [row["path"] for row in csv.DictReader(io.StringIO(data.decode()))]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2), (2, 3, 0, 1)])
def test_units_are_written_in_order_as_soon_as_they_can_be(order: tuple[int, ...]) -> None:
    """Whatever the order in which they finish; the third one has no rows."""
    names = [["a", "b"], ["c"], [], ["d"]]
    stream = io.BytesIO()
    with opened(stream) as rows:
        for count, number in enumerate(order, 1):
            commit(rows, number, names[number])
            ready = next((n for n in range(4) if n not in order[:count]), 4)
            assert paths(stream.getvalue()) == [*chain(*names[:ready])]
        rows.merge(4, FORM.merge)
    assert stream.getvalue().count(b"path,status") == 1


def test_a_missing_unit_is_not_overlooked() -> None:
    """The end of a run checks that all of its units were written."""
    with opened(io.BytesIO()) as rows:
        commit(rows, 1, ["b"])
        with pytest.raises(RuntimeError, match="2 units, but rows of 0 were written"):
            rows.merge(2, FORM.merge)


def test_without_rows_there_is_no_header() -> None:
    """A run that fails, or finds no image, has written nothing."""
    stream = io.BytesIO()
    with opened(stream) as rows:
        commit(rows, 0, [])
        rows.discard()
    assert stream.getvalue() == b""


class Failing(io.BytesIO):
    """Raises an error of the system after some bytes."""

    def __init__(self, number: int, *, after: int) -> None:
        super().__init__()
        self.number, self.after = number, after

    def write(self, data: Any, /) -> int:
        if self.tell() + len(data) > self.after:
            raise OSError(self.number, os.strerror(self.number))
        return super().write(data)


@pytest.mark.parametrize("early", [False, True])
def test_faults_of_the_stream_are_told_apart(early: bool) -> None:
    """A reader that left is one kind of error, a full disk another; each is one line."""
    for number, kind, says in (
        (errno.EPIPE, ReaderLeftError, "nobody reads it any more"),
        (errno.ENOSPC, ScoreError, r"no space left on device\. The rows are incomplete"),
    ):
        with opened(Failing(number, after=60)) as rows:
            if early:
                commit(rows, 1, ["waits"])
            with pytest.raises(kind, match=says) as caught:
                commit(rows, 0, ["a.jpg" * 20])
            assert "\n" not in str(caught.value)


def test_a_full_temporary_folder_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that has to wait cannot: the folder and TMPDIR are named."""
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Failing(errno.ENOSPC, after=0))
    with opened(io.BytesIO()) as rows, pytest.raises(ScoreError, match="or set TMPDIR"):
        commit(rows, 1, ["a"])


def score_stream(source: Path, stream: Any, **limits: Any) -> RowsStream:
    """Score a source to a stream without a network, as `score_fake` does to a file."""
    inputs = read_source(source)
    with opened(stream) as rows, closing(_engine()) as engine:
        bad = BadInputs(rows, **limits)
        scoring = Scoring(inputs, rows, unit_size=4, rows_format=FORM, progress=None, bad=bad)
        scoring.run(engine)
    return rows


def _engine() -> LocalEngine:
    return LocalEngine(FakeLoader(3), FakeForward(), classes=len(CLASSES))


def test_rows_are_those_of_a_file(tmp_path: Path) -> None:
    """The same bytes, errors included, and nothing beside them."""
    source = make_files(tmp_path / "in", NAMES)
    score_fake(source, tmp_path / "p.csv")
    stream = io.BytesIO()
    rows = score_stream(source, stream)
    assert stream.getvalue() == (tmp_path / "p.csv").read_bytes()
    assert sum(record.rows for record in rows.records.values()) == len(NAMES)
    assert {path.name for path in tmp_path.iterdir()} == {"in", "p.csv", "temporary"}


def test_a_quarantine_is_that_of_a_file(tmp_path: Path) -> None:
    """Copies and table; the lists of bad inputs are temporary."""
    source = make_files(tmp_path / "in", NAMES)
    score_fake(source, tmp_path / "p.csv", quarantine=tmp_path / "want")
    quarantine = Quarantine(tmp_path / "found", run={"source": str(source)})
    score_stream(source, io.BytesIO(), quarantine=quarantine)
    want, found = (
        {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("want", "found")
    )
    assert found == want
    assert len(want) == 4  # two images, the table, the mark


def test_too_many_bad_inputs_stop_it_with_words_that_fit(tmp_path: Path) -> None:
    """The rows were written, and nothing can be resumed."""
    source = make_files(tmp_path / "in", NAMES)
    stream = io.BytesIO()
    with pytest.raises(StoppedOnPurposeError, match="2 of 11 inputs so far are bad") as caught:
        score_stream(source, stream, max_bad=0.1)
    assert "resume" not in str(caught.value)
    assert len(paths(stream.getvalue())) == len(NAMES)
