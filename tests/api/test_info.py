"""`vocscore info`: every kind of path, compared with what was written; and one line for others."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

import vocscore as vs
from vocscore.cli.main import main

RECORD = {
    "format": "vocscore predictions",
    "version": 1,
    "vocscore": "0.1.0",
    "libraries": {"python": "3.12.0"},
    "command": "vocscore score <script> -o o.csv",
    "started": "2026-01-01T00:00:00+00:00",
    "finished": "2026-01-01T00:00:05+00:00",
    "model": {
        "given": "run",
        "path": "/run",
        "sha256": "a" * 64,
        "precision": "float32",
        "preprocess": {"size": 224},
        "threshold": [0.25, 2.0],
        "classes": ["a\nb", "c;d"],
    },
    "source": {"given": "in", "path": "/in", "listing": "b" * 64, "include": [], "exclude": []},
    "settings": {"maker": "HostMaker"},
    "output": {"format": "csv", "folder": False, "bytes": 40},
    "rows": 2,
    "resumed": 0,
    "errors": {"empty": 1},
    "trained_on": None,
}


@pytest.fixture
def written(tmp_path):
    """Predictions with a record of an older version."""
    file = tmp_path / "o.csv"
    file.write_bytes(b"path,status,error,labels\n".ljust(40, b"x"))
    file.with_name("o.csv.json").write_text(json.dumps(RECORD))
    return file


def test_predictions_show_their_record(written):
    """By the file, by the record itself, and as JSON; classes with line ends stay on their line."""
    by_file, by_record = vs.info(written), vs.info(written.with_name("o.csv.json"))
    assert by_file.kind == by_record.kind == "predictions"
    assert by_file.sections == by_record.sections
    assert by_file.sections["model"]["threshold"] == {"a\nb": 0.25, "c;d": 2.0}
    assert by_file.sections["predictions"]["errors"] == {"empty": 1}
    text = str(by_file)
    assert "  vocscore score <script> -o o.csv" in text
    assert r"'a\nb' 0.25, c;d 2" in text
    assert json.loads(json.dumps(by_file.to_json()))["model"]["sha256"] == "a" * 64
    written.write_bytes(b"path,status,error,labels\n")
    assert "may describe other rows" in str(vs.info(written))
    written.with_name("o.csv.json").unlink()
    assert "none: o.csv.json is missing" in str(vs.info(written))


def test_an_unfinished_run_counts_its_parts(written):
    """By OUT.parts, and by OUT while it does not exist; a damaged mark counts nothing."""
    work = written.with_name("new.csv.parts")
    work.mkdir()
    (work / "plan.json").write_text("{}")
    for number, text in enumerate(
        ['{"rows": 3, "errors": {"empty": 1}}', '{"rows": 2, "errors": {}}', "{"]
    ):
        (work / f"part-{number:06d}.json").write_text(text)
    for path in (work, written.with_name("new.csv")):
        found = vs.info(path)
        assert found.kind == "unfinished predictions"
        assert found.sections == {"predictions": {"rows so far": 5, "errors so far": 1}}
    (work / "started.json").write_text(json.dumps({**RECORD, "finished": None}))
    assert vs.info(work).sections["model"]["path"] == "/run"


def test_shards_show_splits_and_classes(voc_tree, tmp_path):
    """Counts equal those of the labels that the loader reads."""
    from shards.reader import load_split

    vs.pack(voc_tree, tmp_path / "shards", progress=False)
    found = vs.info(tmp_path / "shards")
    assert found.kind == "shards"
    for split in ("train", "val"):
        labels = load_split(tmp_path / "shards", split).labels
        counts = found.sections[f"split {split}"]["images of each class"]
        assert list(counts.values()) == [sum(row == 1) for row in labels.T]
        assert found.sections[f"split {split}"]["images"] == len(labels)
    tars = sum(file.stat().st_size for file in (tmp_path / "shards").glob("*.tar"))
    assert found.sections["shards"]["bytes"] == tars


def test_a_run_in_training_and_its_damage(tmp_path):
    """Epochs so far; a damaged file is one line that names it."""
    (tmp_path / "config.json").write_text('{"seed": 1, "optimiser": "sgd"}')
    (tmp_path / "history.csv").write_text("epoch,val_loss\n1,0.5\n2,0.25\n")
    found = vs.info(tmp_path)
    assert found.kind == "unfinished run"
    assert found.sections["training"] == {"epochs": 2, "last epoch": "2", "last val_loss": "0.25"}
    assert "optimizer  sgd" in str(found)
    (tmp_path / "config.json").write_text("[")
    with pytest.raises(vs.Error, match=r"config\.json: damaged"):
        vs.info(tmp_path)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b"\0"),
        lambda path: path.write_text("{}"),
        os.mkfifo,
    ],
)
@pytest.mark.parametrize("name", ["x", "x.csv", "x.json", "x.onnx", "x.parquet", "x\ny", "x.parts"])
def test_another_path_is_refused_by_one_line(tmp_path, make, name):
    """Missing, empty, foreign or no file: exit code 2, and what PATH could be."""
    make(tmp_path / name)
    done = CliRunner().invoke(main, ["info", str(tmp_path / name)])
    assert done.exit_code == 2
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1


def test_a_damaged_record_is_refused_by_one_line(written):
    """Where a field is missing, it is named."""
    written.with_name("o.csv.json").write_text('{"format": "vocscore predictions", "version": 1}')
    for path in (written, written.with_name("o.csv.json")):
        done = CliRunner().invoke(main, ["info", str(path)])
        assert (done.exit_code, done.output.count("\n")) == (2, 1)
        assert "not a record of predictions" in done.output


def test_json_goes_to_a_file_or_to_standard_output(written, tmp_path):
    """'-' prints it instead of the text."""
    done = CliRunner().invoke(main, ["info", str(written), "--json", "-"])
    printed = json.loads(done.output)
    done = CliRunner().invoke(main, ["info", str(written), "--json", str(tmp_path / "i.json")])
    assert done.exit_code == 0
    assert json.loads((tmp_path / "i.json").read_text()) == printed
    assert done.output.startswith(f"{written}: predictions\n")


def test_it_imports_no_torch(written):
    """A question about a file is answered at once."""
    code = (
        "import sys, vocscore as vs; vs.info(sys.argv[1]); "
        "sys.exit(int('torch' in sys.modules or 'openvino' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(written)], check=False).returncode == 0
