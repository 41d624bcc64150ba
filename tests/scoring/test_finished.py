"""The same command on a finished output: nothing to do, or a refusal that names the difference."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from mutations import good_jpegs
from tiny_network import make_checkpoint, run

from vocscore.cli.main import main
from vocscore.errors import ScoreError
from vocscore.records.score_record import read_record, record_file
from vocscore.scoring.output.publication import Publication
from vocscore.scoring.output.work_folder import work_folder

FORMS = ("o.csv", "o.jsonl", "o.parquet", "parts")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, data in enumerate(good_jpegs()[:4]):
        (folder / f"{number}.jpg").write_bytes(b"" if number == 3 else data)
    return folder


def state(output):
    files = [output] if output.is_file() else sorted(output.iterdir())
    files.append(record_file(output))
    return [(file.name, file.stat().st_ino, file.read_bytes()) for file in files]


@pytest.mark.parametrize("name", FORMS)
def test_an_equal_output_is_left_as_it_is(source, checkpoint, tmp_path, name):
    """Of every form; the report has its rows and errors, and no file was touched."""
    output, options = tmp_path / name, {"format": None if "." in name else "csv", "unit_size": 2}
    run(source, output, checkpoint, **options)
    before = state(output)
    report = run(source, output, checkpoint, **options)
    assert (report.complete, report.images, report.resumed) == (True, 4, 4)
    assert report.reasons == {"empty": 1}
    assert str(report) == f"{output}: already complete (4 rows, 1 errors), nothing to do"
    assert state(output) == before
    assert not work_folder(output).exists()


def test_what_differs_is_named_and_nothing_is_touched(source, checkpoint, tmp_path):
    """Settings, inputs, or an output that was changed after it was written."""
    output = tmp_path / "o.csv"
    run(source, output, checkpoint)
    before = state(output)
    with pytest.raises(ScoreError, match=r"already exists and differs in the unit size"):
        run(source, output, checkpoint, unit_size=3)
    (source / "new.jpg").write_bytes(good_jpegs()[0])
    with pytest.raises(ScoreError, match=r"already exists and differs in the listing"):
        run(source, output, checkpoint)
    (source / "new.jpg").unlink()
    assert state(output) == before
    output.write_bytes(output.read_bytes() + b"\n")
    with pytest.raises(ScoreError, match=r"already exists\. Use `overwrite=True`"):
        run(source, output, checkpoint)


def test_a_run_killed_after_its_end_was_complete(source, checkpoint, tmp_path, monkeypatch):
    """The rerun moves what was complete, and says so without scoring."""

    class Killed(BaseException):
        pass

    def killed(_self):
        raise Killed

    output = tmp_path / "o.csv"
    with monkeypatch.context() as patch:
        patch.setattr(Publication, "finish", killed)
        with pytest.raises(Killed):
            run(source, output, checkpoint)
    assert not output.exists()
    assert run(source, output, checkpoint).complete
    assert read_record(record_file(output)).rows == 4


def test_records_of_older_versions_are_recognized(source, checkpoint, tmp_path):
    """Without the backbone, the seconds, the stamps and the update, as the format began."""
    output = tmp_path / "o.csv"
    run(source, output, checkpoint)
    beside = record_file(output)
    value = json.loads(beside.read_text())
    for name in ("seconds", "files_sha256", "update"):
        del value[name]
    del value["model"]["backbone"]
    beside.write_text(json.dumps(value))
    (tmp_path / "o.csv.files.npy").unlink()
    assert run(source, output, checkpoint).complete
    with pytest.raises(ScoreError, match="does not say which files"):
        run(source, output, checkpoint, update=True)


@pytest.mark.parametrize("all_bad", [False, True])
def test_the_command_says_so_with_the_exit_code_of_the_first_run(
    source, checkpoint, tmp_path, all_bad
):
    """0, or 3 if every row is an error."""
    if all_bad:
        for file in source.iterdir():
            file.write_bytes(b"")
    words = ["score", source, "-m", checkpoint, "-o", tmp_path / "o.csv", "--device", "cpu"]
    first, second = (CliRunner().invoke(main, list(map(str, words))) for _ in range(2))
    assert first.exit_code == second.exit_code == (3 if all_bad else 0)
    errors = 4 if all_bad else 1
    line = f"{tmp_path / 'o.csv'}: already complete (4 rows, {errors} errors), nothing to do"
    assert line in second.output.splitlines()
