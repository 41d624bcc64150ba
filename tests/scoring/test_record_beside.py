"""The record beside an output: what it says, when it appears, and what it never does."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

import pytest
from click.testing import CliRunner
from mutations import good_jpegs
from tiny_network import CLASSES, make_checkpoint, run

from vocscore.cli.main import main
from vocscore.errors import ScoreError
from vocscore.scoring.output.ledger import open_ledger
from vocscore.scoring.output.unit_record import UnitRecord
from vocscore.scoring.output.work_folder import work_folder

PLAN = {"checkpoint": "a" * 64}
OURS = b'{"format": "vocscore predictions", "version": 1, "text": "%s"}'


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A network, and what it says of its training."""
    folder = make_checkpoint(tmp_path_factory.mktemp("run"))
    config = {"shards": "s", "shards_sha256": "f" * 64, "train_split": "train", "val_split": "val"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def source(tmp_path):
    """Five images, one of them empty."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, data in enumerate(good_jpegs()[:5]):
        (folder / f"{number}.jpg").write_bytes(b"" if number == 3 else data)
    return folder


def test_it_says_what_the_rows_were_made_of(source, checkpoint, tmp_path):
    """Model and its hash, source, settings, rows, errors, training; of a file and of a folder."""
    sha256 = hashlib.sha256()
    for name in ("model.json", "model.safetensors"):
        data = (checkpoint / name).read_bytes()
        sha256.update(len(data).to_bytes(8, "little") + data)
    for output, form in ((tmp_path / "o.csv", None), (tmp_path / "parts", "jsonl")):
        run(source, output, checkpoint, format=form, unit_size=2, command="typed")
        files = sorted(output.iterdir()) if form else [output]
        found = json.loads((tmp_path / f"{output.name}.json").read_text("ascii"))
        assert found["format"] == "vocscore predictions"
        assert found["command"] == "typed"
        assert found["model"]["path"] == found["model"]["given"] == str(checkpoint)
        assert found["model"]["sha256"] == sha256.hexdigest()
        assert found["model"]["classes"] == list(CLASSES)
        assert found["model"]["preprocess"]["size"] == 32
        assert found["source"]["path"] == str(source)
        assert (found["rows"], found["resumed"], found["errors"]) == (5, 0, {"empty": 1})
        assert found["output"]["bytes"] == sum(file.stat().st_size for file in files)
        assert (found["output"]["format"], found["output"]["folder"]) == (form or "csv", bool(form))
        assert {"torch", "openvino", "python"} <= found["libraries"].keys()
        assert found["trained_on"]["train_splits"] == ["train"]
        times = [datetime.fromisoformat(found[name]) for name in ("started", "finished")]
        assert times == sorted(times)
        assert times[0].utcoffset().total_seconds() == 0


def test_a_model_without_a_training_is_recorded_so(source, checkpoint, tmp_path):
    """A checkpoint without config.json scores as ever; its training is null."""
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("model.json", "model.safetensors"):
        (bare / name).write_bytes((checkpoint / name).read_bytes())
    run(source, tmp_path / "o.csv", bare)
    assert json.loads((tmp_path / "o.csv.json").read_text())["trained_on"] is None


def invoke(*words):
    done = CliRunner().invoke(main, [str(word) for word in (*words, "--device", "cpu")])
    assert not done.exception or isinstance(done.exception, SystemExit)
    return done


def test_it_is_replaced_with_its_output_and_with_nothing_else(source, checkpoint, tmp_path):
    """--overwrite renews it, an orphan gives way, another file of its name is never touched."""
    output, beside = tmp_path / "o.csv", tmp_path / "o.csv.json"
    words = ["score", source, "-m", checkpoint, "-o", output, "--precision", "float32"]
    beside.write_text('{"mine": 1}')
    refused = invoke(*words, "--overwrite")
    assert refused.exit_code == 2
    assert refused.output.startswith(f"Error: {beside}: not a record of predictions")
    assert refused.output.count("\n") == 1
    assert beside.read_text() == '{"mine": 1}'
    beside.write_bytes(OURS)
    assert invoke(*words).exit_code == 0
    first = json.loads(beside.read_text())
    assert first["rows"] == 5
    (source / "4.jpg").unlink()
    assert invoke(*words).exit_code == 2
    assert json.loads(beside.read_text()) == first
    assert invoke(*words, "--overwrite").exit_code == 0
    assert json.loads(beside.read_text())["rows"] == 4


def test_a_summary_does_not_take_its_place(source, checkpoint, tmp_path):
    """--json with the record's name is refused before anything is scored."""
    output = tmp_path / "o.csv"
    words = ["score", source, "-m", checkpoint, "-o", output, "--json", tmp_path / "o.csv.json"]
    refused = invoke(*words)
    assert refused.exit_code == 2
    assert "this is the record of" in refused.output
    assert not output.exists()


@pytest.fixture
def output(tmp_path):
    return tmp_path / "new" / "out"


def opened(output, **settings):
    return open_ledger(output, PLAN, suffix=".csv", overwrite=True, **settings)


def fill(ledger):
    ledger.commit(0, UnitRecord(1), lambda file: file.write(b"new"))


def join(file, parts):
    for part in parts:
        file.write(part.read_bytes())


def state(output):
    """Text of output and record, None where there is none."""
    beside = output.with_name(f"{output.name}.json")
    rows = output / "part-000000.csv" if output.is_dir() else output
    texts = [file.read_text() if file.exists() else None for file in (rows, beside)]
    return tuple(texts)


class Killed(BaseException):
    """As by kill -9: nothing below catches it."""


@pytest.mark.parametrize("folder", [False, True])
def test_killed_at_any_move_no_record_speaks_of_other_rows(output, folder, monkeypatch):
    """Old rows with the old record or none, new rows with the new one or none; then both are new.

    Every rename and removal in the end of a run is the last one, once; the next run finishes.
    """
    new = OURS.replace(b"%s", b"new")
    for step in range(40):
        target = output.with_name(f"out{step}")
        _old(target, folder=folder)
        with monkeypatch.context() as patch:
            died = _die(target, step, patch, folder=folder, record=new)
        assert state(target) in {
            ("old", OURS.decode()),
            ("old", None),
            (None, None),  # between two renames of a folder
            ("new", None),
            ("new", new.decode()),
        }
        with opened(target, folder=folder) as ledger:
            if work_folder(target).joinpath("plan.json").exists() and died:
                fill(ledger)
                ledger.merge(1, join, record=lambda _bytes: new)
        if not died:
            break
        assert state(target) == ("new", new.decode())
    assert step > 4


def _old(target, *, folder):
    target.parent.mkdir(exist_ok=True)
    if folder:
        target.mkdir()
    (target / "part-000000.csv" if folder else target).write_text("old")
    target.with_name(f"{target.name}.json").write_bytes(OURS)


def _die(target, step, patch, *, folder, record):
    """End a run, and die before its `step`-th rename or removal; whether it came to that."""
    import pathlib

    with opened(target, folder=folder) as ledger:
        fill(ledger)
        left = [step]

        def counted(original):
            def touch(path, *arguments, **options):
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
                return original(path, *arguments, **options)

            return touch

        for name in ("replace", "rename", "unlink"):
            patch.setattr(pathlib.Path, name, counted(getattr(pathlib.Path, name)))
        try:
            ledger.merge(1, join, record=lambda _bytes: record)
        except Killed:
            return True
        finally:
            patch.undo()
    return False


def test_without_a_record_to_write_none_is_left(output):
    """An older record never stands beside newer rows."""
    _old(output, folder=False)
    with opened(output) as ledger:
        fill(ledger)
        ledger.merge(1, join)
    assert state(output) == ("new", None)


def test_a_file_that_came_during_the_run_survives(output):
    """What took the record's place meanwhile stops the end of the run; moved away, it goes on."""
    beside = output.with_name("out.json")
    with opened(output) as ledger:
        fill(ledger)
        beside.write_text("mine")
        with pytest.raises(ScoreError, match=r"out\.json: not a record of predictions"):
            ledger.merge(1, join, record=lambda _bytes: OURS)
    assert beside.read_text() == "mine"
    beside.unlink()
    with opened(output) as ledger:
        assert list(ledger.records) == [0]
        ledger.merge(1, join, record=lambda _bytes: OURS)
    assert state(output) == ("new", OURS.decode())
    assert sorted(path.name for path in output.parent.iterdir()) == ["out", "out.json"]
