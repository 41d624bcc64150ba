"""The record beside predictions: written and read back, and never taken for anything else."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from vocscore.errors import RecordError
from vocscore.records.score_record import (
    ModelFacts,
    ScoreRecord,
    is_record,
    read_record,
    record_file,
)
from vocscore.records.trained_on import TrainedOn

RECORD = ScoreRecord(
    vocscore="0.1.0",
    libraries={"python": "3.11.7", "torch": "2.9"},
    command="vocscore score photos -m run -o p.csv",
    started="2026-01-01T00:00:00+00:00",
    finished="2026-01-01T00:00:09+00:00",
    model=ModelFacts(
        given="run",
        path="/data/caf\udce9/run",
        sha256="a" * 64,
        precision="float32",
        preprocess={"size": 64},
        threshold=(0.5, 0.25),
        classes=("cat", "dog"),
    ),
    source={"given": "photos", "path": "/data/photos", "listing": "b" * 64},
    settings={"device": "cpu"},
    output={"format": "csv", "folder": False, "bytes": 12},
    rows=3,
    resumed=0,
    errors={"empty": 1},
    trained_on=TrainedOn(
        shards="/data/shards",
        shards_sha256="c" * 64,
        train_splits=("train", "extra"),
        val_splits=("val",),
        chosen=("epoch",),
        listing="d" * 64,
        encoding="original",
        train_images=2,
        train_images_sha256="e" * 64,
    ),
)


@pytest.mark.parametrize("changes", [{}, {"trained_on": None}, {"command": None}])
def test_a_record_comes_back(tmp_path: Path, changes: dict[str, None]) -> None:
    """Every field, names that are no text included; the file is ASCII JSON for other programs."""
    record = replace(RECORD, **changes)
    file = tmp_path / "p.csv.json"
    file.write_bytes(record.to_bytes())
    assert read_record(file) == record
    value = json.loads(file.read_text("ascii"))
    assert (value["format"], value["version"]) == ("vocscore predictions", 1)
    assert value["model"]["threshold"] == [0.5, 0.25]
    assert is_record(file)


def test_later_fields_do_not_hurt(tmp_path: Path) -> None:
    """A field that this version does not know is let pass."""
    value = {**RECORD.to_json(), "weather": "fine"}
    file = tmp_path / "p.csv.json"
    file.write_text(json.dumps(value))
    assert read_record(file) == RECORD


def test_it_stands_beside_a_file_and_a_folder(tmp_path: Path, monkeypatch) -> None:
    """NAME.json beside both; with a slash at the end, and for the folder that one is in, too."""
    assert record_file(Path("x/p.csv")) == Path("x/p.csv.json")
    assert record_file(Path("x/parts/")) == Path("x/parts.json")
    (tmp_path / "parts").mkdir()
    monkeypatch.chdir(tmp_path / "parts")
    assert record_file(Path()).resolve() == (tmp_path / "parts.json").resolve()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a record of predictions"),
        ("[1]", "not a record of predictions"),
        ('{"splits": ["val"]}', "no field 'format'"),
        (json.dumps({**RECORD.to_json(), "version": 2}), "version 2 is not supported"),
        (json.dumps({**RECORD.to_json(), "rows": "three"}), "rows must be a number"),
        (json.dumps({**RECORD.to_json(), "trained_on": {"shards": 1}}), "is not text"),
    ],
)
def test_what_is_no_record_is_said_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    """Damaged, of a newer version, or another file: its name and what is wrong."""
    file = tmp_path / "p.csv.json"
    file.write_text(text)
    with pytest.raises(RecordError) as caught:
        read_record(file)
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe called as the record would be is refused at once."""
    file = tmp_path / "p.csv.json"
    os.mkfifo(file)
    with pytest.raises(RecordError, match="a named pipe"):
        read_record(file)
    assert not is_record(file)


def test_nothing_there_is_no_error(tmp_path: Path) -> None:
    """Predictions of older versions have none."""
    assert read_record(tmp_path / "p.csv.json") is None


def test_only_another_activation_than_the_sigmoid_is_written(tmp_path: Path) -> None:
    """Records of sigmoid models keep their bytes; one of a softmax model comes back."""
    assert "activation" not in RECORD.to_json()["model"]
    assert RECORD.model.rule == "sigmoid"
    other = replace(RECORD, model=replace(RECORD.model, activation="softmax"))
    file = tmp_path / "p.csv.json"
    file.write_bytes(other.to_bytes())
    found = read_record(file)
    assert found == other
    assert found is not None
    assert found.model.rule == "softmax"
