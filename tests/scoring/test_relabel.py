"""Changed labels are those of scoring with these thresholds, byte for byte."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from written_predictions import HOSTILE, draw

from vocscore.errors import ScoreError, ThresholdsError
from vocscore.records.score_record import read_record, record_file
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.relabel import relabel

if TYPE_CHECKING:
    from pathlib import Path

NEW = {"dog": 0.1, "bird": 2.0}
DRAWN = draw(40, names=HOSTILE, failing=(3, 39))
AFTER = replace(DRAWN, threshold=(0.5, 0.1, 2.0))
FORMS = [("p.csv", None), ("p.jsonl", None), ("p.parquet", None)]
FORMS += [(f"p-{name}", name) for name in ("csv", "jsonl", "parquet")]


def thresholds(folder: Path, values: dict[str, float]) -> Path:
    file = folder / "thresholds.json"
    file.write_text(json.dumps(values))
    return file


def content(path: Path) -> dict[str, bytes]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {file.name if path.is_dir() else "file": file.read_bytes() for file in files}


@pytest.mark.parametrize(("name", "folder_format"), FORMS)
def test_bytes_are_those_of_scoring(name: str, folder_format: str | None, tmp_path: Path) -> None:
    """At other thresholds, and at the same ones."""
    source = DRAWN.write(tmp_path / name, folder_format=folder_format, record=DRAWN.record())
    (tmp_path / "after").mkdir()
    want = AFTER.write(tmp_path / "after" / name, folder_format=folder_format)
    for values, expected in (({}, source), (NEW, want)):
        output = tmp_path / f"{len(values)}-{name}"
        given = thresholds(tmp_path, values)
        report = relabel(source, output, thresholds_file=given)
        assert content(output) == content(expected)
        before = DRAWN.probabilities >= np.float32(0.5)
        after = DRAWN.probabilities >= np.array([0.5, 0.1, 2.0] if values else [0.5] * 3)
        changed = (before != after) & ~np.isin(np.arange(40), (3, 39))[:, None]
        assert (report.changed, report.changed_rows) == (changed.sum(), changed.any(1).sum())
        assert report.errors == 2


def test_the_record_has_the_new_thresholds(tmp_path: Path) -> None:
    """And the size of the new file; the rest is that of the old one."""
    source = DRAWN.write(tmp_path / "p.csv", record=DRAWN.record(files_sha256="0" * 64))
    output = tmp_path / "q.csv"
    relabel(source, output, thresholds_file=thresholds(tmp_path, NEW))
    old, new = read_record(record_file(source)), read_record(record_file(output))
    assert old is not None
    assert new is not None
    assert new.model == replace(old.model, threshold=(0.5, 0.1, 2.0))
    assert new.output["bytes"] == output.stat().st_size
    assert new.rows == old.rows
    assert new.files_sha256 is None, "no stamps are written beside it"


def test_without_a_record_other_classes_have_one_half(tmp_path: Path) -> None:
    """The default of training; no record is made up."""
    source, output = DRAWN.write(tmp_path / "p.csv"), tmp_path / "q.csv"
    relabel(source, output, thresholds_file=thresholds(tmp_path, NEW))
    assert output.read_bytes() == AFTER.write(tmp_path / "want.csv").read_bytes()
    assert not record_file(output).exists()


def test_another_suffix_is_another_format(tmp_path: Path) -> None:
    """CSV becomes JSON lines."""
    source = DRAWN.write(tmp_path / "p.csv", record=DRAWN.record())
    relabel(source, tmp_path / "q.jsonl", thresholds_file=thresholds(tmp_path, NEW))
    want = AFTER.write(tmp_path / "want.jsonl")
    assert (tmp_path / "q.jsonl").read_bytes() == want.read_bytes()


def test_what_cannot_be_decided_is_refused(tmp_path: Path) -> None:
    """Missing probabilities, an existing output, the source itself, unknown classes."""
    some = DRAWN.write(tmp_path / "some.csv", selection=Selection(min_probability=0.4))
    whole = DRAWN.write(tmp_path / "whole.csv")
    file = thresholds(tmp_path, NEW)
    with pytest.raises(ScoreError, match="has not every probability"):
        relabel(some, tmp_path / "new.csv", thresholds_file=file)
    with pytest.raises(ScoreError, match="these are the predictions themselves"):
        relabel(whole, whole, thresholds_file=file, overwrite=True)
    with pytest.raises(ScoreError, match="already exists"):
        relabel(whole, some, thresholds_file=file)
    with pytest.raises(ThresholdsError, match="no class cow"):
        relabel(whole, tmp_path / "new.csv", thresholds_file=thresholds(tmp_path, {"cow": 0.5}))
    assert not (tmp_path / "new.csv").exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(("name", "folder_format"), [("p.csv", None), ("parts", "csv")])
def test_no_record_of_a_replaced_output_stays(
    name: str, folder_format: str | None, tmp_path: Path
) -> None:
    """It would describe other rows than those beside it."""
    source = DRAWN.write(tmp_path / name, folder_format=folder_format)
    old = DRAWN.write(tmp_path / f"old-{name}", folder_format=folder_format, record=DRAWN.record())
    relabel(source, old, thresholds_file=thresholds(tmp_path, NEW), overwrite=True)
    assert not record_file(old).exists()


def test_an_output_is_replaced_if_asked(tmp_path: Path) -> None:
    """A file, and a folder of parts."""
    file = thresholds(tmp_path, NEW)
    for name, folder_format in (("p.csv", None), ("parts", "csv")):
        source = DRAWN.write(tmp_path / name, folder_format=folder_format)
        old = DRAWN.write(tmp_path / f"old-{name}", folder_format=folder_format)
        relabel(source, old, thresholds_file=file, overwrite=True)
        want = AFTER.write(tmp_path / f"want-{name}", folder_format=folder_format)
        assert content(old) == content(want)
