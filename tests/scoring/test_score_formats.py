"""`vocscore score` to every format, with a real network."""

from __future__ import annotations

import json
import os
import shutil
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tiny_network import CLASSES, make_checkpoint, run

from vocscore.cli.main import main
from vocscore.errors import ScoreError
from vocscore.evaluation.predictions import read_predictions
from vocscore.models.card_file import checkpoint_hash
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.output.ledger import open_ledger
from vocscore.scoring.output.rows import Rows
from vocscore.scoring.output.unit_record import UnitRecord
from vocscore.scoring.output.work_folder import work_folder

OUTPUTS = [
    ("out.csv", None),
    ("out.parquet", None),
    ("out.jsonl", None),
    ("csv", "csv"),
    ("parquet", "parquet"),
    ("jsonl", "jsonl"),
]
NAMES = [name for name, _ in OUTPUTS]
ODD = os.fsdecode(b'=caf\xe9, "x"\n.jpg')


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def images(voc_tree, tmp_path_factory):
    """48 images, one of them under an odd name, and a broken one."""
    folder = tmp_path_factory.mktemp("images")
    shutil.copytree(voc_tree / "JPEGImages", folder, dirs_exist_ok=True)
    files = sorted(folder.iterdir())
    files[5].rename(folder / ODD)
    files[30].write_bytes(files[30].read_bytes()[:-300])
    return folder


def contents(output):
    """Every byte of a file, or of a folder."""
    if output.is_dir():
        return {path.name: path.read_bytes() for path in output.iterdir()}
    return output.read_bytes()


@pytest.fixture(scope="module")
def undisturbed(images, checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    for name, folder_format in OUTPUTS:
        run(images, folder / name, checkpoint, format=folder_format)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_every_format_says_the_same(images, undisturbed, name):
    """Files and folders hold the names, bits and errors of the CSV, as many as there are files."""
    csv, other = read_predictions(undisturbed / "out.csv"), read_predictions(undisturbed / name)
    assert sorted(other.paths) == sorted(path.name for path in images.iterdir())
    assert ODD in other.paths
    assert other.paths == csv.paths
    assert other.classes == CLASSES
    assert other.failed.sum() == 1
    assert np.array_equal(other.probabilities, csv.probabilities, equal_nan=True)


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl", "csv", "parquet"])
def test_a_stopped_run_ends_with_equal_bytes(images, checkpoint, undisturbed, tmp_path, name):
    """Stopped in the middle and started again, every format has the bytes of an undisturbed run."""
    output, folder_format = tmp_path / name, dict(OUTPUTS)[name]

    def stop(done, total, errors):
        if done > 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(images, output, checkpoint, format=folder_format, progress=stop)
    assert not output.exists()
    report = run(images, output, checkpoint, format=folder_format, batch_size=5)
    assert report.resumed == 20
    assert contents(output) == contents(undisturbed / name)
    assert not work_folder(output).exists()


def test_a_folder_has_a_part_a_unit_and_nothing_else(undisturbed):
    """48 images in units of 20 are three parts, each of which can be read by itself."""
    parts = sorted(path.name for path in (undisturbed / "parquet").iterdir())
    assert parts == [f"part-{i:06d}.parquet" for i in range(3)]
    rows = [pq.read_metadata(undisturbed / "parquet" / part).num_rows for part in parts]
    assert rows == [20, 20, 8]


def test_a_parquet_names_the_checkpoint(undisturbed, checkpoint):
    """The metadata has the checkpoint's hash and its Preprocess."""
    about = json.loads(pq.read_metadata(undisturbed / "out.parquet").metadata[b"vocscore"])
    card = json.loads((checkpoint / "model.json").read_text())
    assert about["checkpoint"] == checkpoint_hash(checkpoint)
    assert about["preprocess"] == card["preprocess"]
    assert about["classes"] == list(CLASSES)


def test_another_format_or_selection_is_not_mixed_in(images, checkpoint, tmp_path):
    """An unfinished run is refused to another format, columns, top-k and limit."""

    def stop(done, total, errors):
        raise KeyboardInterrupt

    output = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(images, output, checkpoint, format="csv", progress=stop)
    with pytest.raises(ScoreError, match=r"the output format \(csv there, parquet now\)\. Use"):
        run(images, output, checkpoint, format="parquet")
    with pytest.raises(ScoreError, match=r"output top k \(None there, 2 now\), the output min pro"):
        run(images, output, checkpoint, format="csv", top_k=2, min_probability=0.5)


def score(*words):
    """Exit code and output of the command."""
    result = CliRunner().invoke(main, ["score", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_the_options_reach_the_rows(images, checkpoint, tmp_path):
    """-o DIR/ --format, --columns and --top-k do what they say."""
    folder = tmp_path / "out"
    code, _ = score(
        images, "-m", checkpoint, "-o", f"{folder}/", "--format", "jsonl",
        "--columns", "probabilities", "--top-k", 1, "--min-probability", 0.01, "--quiet",
    )  # fmt: skip
    assert code == 0
    (part,) = folder.iterdir()
    rows = [json.loads(line) for line in part.read_text().splitlines()]
    assert len(rows) == 48
    assert {len(row["probabilities"] or ()) for row in rows} == {0, 1}
    assert "labels" not in rows[0]


@pytest.mark.parametrize(
    "case",
    [
        (
            ["-o", "out"],
            "not clear from the name. Name a file that ends in .csv, .parquet, .jsonl",
        ),
        (["-o", "out.txt"], "out.txt: the format is not clear from the name"),
        (["-o", "out.csv", "--format", "csv"], "--format writes a folder of parts"),
        (["-o", ".", "--format", "csv"], "--format writes a folder of parts"),
        (["-o", "..", "--format", "csv"], "--format writes a folder of parts"),
        (["-o", "out.csv", "--columns", "labels", "--top-k", "1"], "--columns labels writes none"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(
    images, checkpoint, tmp_path, monkeypatch, case
):
    """Before anything is listed or loaded: exit code 2, one line with the cure, nothing made."""
    words, says = case
    monkeypatch.chdir(tmp_path)
    code, output = score(images, "-m", checkpoint, *words)
    assert code == 2
    assert says in output
    assert output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_parquet_without_pyarrow_names_the_command(images, checkpoint, tmp_path, monkeypatch):
    """The missing library is one line with the pip command, before anything is scored."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, output = score(images, "-m", checkpoint, "-o", tmp_path / "out.parquet")
    assert code == 2
    assert "pip install 'pyarrow>=16'" in output
    assert output.count("\n") == 1


@pytest.mark.parametrize("name", ["path", "labels", "path_bytes"])
@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_a_class_named_as_a_column_is_refused(form, name, tmp_path):
    """Two columns of one name would be read as one; JSON lines keep them apart."""
    choice = choose(tmp_path / f"out.{form}", folder_format=None)
    if form == "jsonl" or (form, name) == ("csv", "path_bytes"):  # CSV has no such column
        choice.open(["cat", name], 0.5, selection=Selection(), origin={})
        return
    with pytest.raises(ScoreError, match=rf"the class '{name}' .* Write \.jsonl"):
        choice.open(["cat", name], 0.5, selection=Selection(), origin={})


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.jsonl"])
def test_a_full_disk_is_one_line_in_every_format(tmp_path, monkeypatch, name):
    """No space left while a part is written: a ScoreError with the cure, also through pyarrow."""
    output = tmp_path / name
    form = choose(output, folder_format=None).open(
        CLASSES, 0.5, selection=Selection(), origin={"vocscore": "1"}
    )
    rows = Rows([f"{i}.jpg" for i in range(9000)], np.full((9000, 3), 0.1, np.float32), {})

    def full(path):
        working = path.with_name(f".{path.name}.tmp")
        working.symlink_to("/dev/full")
        return working

    with open_ledger(output, {}, suffix=form.suffix, overwrite=False) as ledger:
        with monkeypatch.context() as patched:
            patched.setattr("shards.atomic.temporary", full)
            with pytest.raises(ScoreError, match="no space left on device") as caught:
                ledger.commit(0, UnitRecord(9000), lambda file: form.write(file, rows))
        assert "\n" not in str(caught.value)
        ledger.commit(0, UnitRecord(9000), lambda file: form.write(file, rows))
        ledger.merge(1, form.merge)
    assert len(read_predictions(output).paths) == 9000
