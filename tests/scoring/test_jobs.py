"""Jobs with --units and their merge: the bytes of one process."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_jobs import make_source, merged, share
from tiny_network import make_checkpoint, run

from vocscore.cli.main import main
from vocscore.errors import ScoreError, StoppedOnPurposeError, UnfinishedError
from vocscore.scoring.jobs import job as jobs
from vocscore.scoring.output.work_folder import work_folder

OWN = ("started", "finished", "seconds", "command")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture
def source(tmp_path):
    return make_source(tmp_path / "in")


def record(output):
    found = json.loads(output.with_name(f"{output.name}.json").read_bytes())
    return {name: value for name, value in found.items() if name not in OWN}


def contents(path):
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    return path.read_bytes()


@pytest.mark.parametrize("name", ["o.csv", "o.parquet", "o.jsonl", "parts"])
def test_jobs_and_merge_give_the_bytes_of_one_process(source, checkpoint, tmp_path, name):
    """Rows, stamps, features, quarantine and record are those of one process."""
    one, jobs_ = tmp_path / "one", tmp_path / "jobs"
    one.mkdir()
    jobs_.mkdir()
    more = {"format": "csv"} if name == "parts" else {}
    whole = run(
        source,
        one / name,
        checkpoint,
        unit_size=6,
        quarantine=one / "bad",
        features=one / "f.npy",
        **more,
    )
    for units in ("2/3", "1/3", "any"):
        share(source, jobs_ / name, checkpoint, units, features=jobs_ / "f.npy", **more)
    assert not (jobs_ / name).exists()
    report = merged(jobs_ / name, quarantine=jobs_ / "bad")
    assert contents(jobs_ / name) == contents(one / name)
    assert sorted(p.name for p in jobs_.iterdir()) == sorted(p.name for p in one.iterdir())
    for file in ("f.npy", f"{name}.files.npy", "bad/quarantine.csv", "bad/03.jpg"):
        if (one / file).exists():
            assert (jobs_ / file).read_bytes() == (one / file).read_bytes(), file
    assert record(jobs_ / name) == record(one / name)
    told = (report.images, report.reasons, report.skipped_kinds, report.problems)
    assert told == (26, whole.reasons, whole.skipped_kinds, whole.problems)


def test_features_in_parquet_are_joined_in_order(source, checkpoint, tmp_path):
    """As one process writes them."""
    for name, units in (("one", None), ("jobs", "any")):
        (tmp_path / name).mkdir()
        features = tmp_path / name / "f.parquet"
        if units is None:
            run(source, tmp_path / name / "o.csv", checkpoint, unit_size=6, features=features)
        else:
            share(source, tmp_path / name / "o.csv", checkpoint, units, features=features)
            merged(tmp_path / name / "o.csv")
    assert (tmp_path / "jobs/f.parquet").read_bytes() == (tmp_path / "one/f.parquet").read_bytes()


def test_what_is_missing_is_named_as_units_and_as_shares(source, checkpoint, tmp_path):
    """Not complete: no output, and one line with the units, the shares, and the cure."""
    output = tmp_path / "o.csv"
    report = share(source, output, checkpoint, "2/4")
    assert (report.units, report.left, report.images) == ("2/4", 4, 6)
    with pytest.raises(UnfinishedError) as caught:
        merged(output)
    line = str(caught.value)
    assert "4 of 5 units are not scored yet: 0, 2-4." in line
    assert "Of the 4 jobs: --array=1,3-4 (`units='I/4'`)." in line
    assert "`units='any'`" in line
    assert "\n" not in line
    assert not output.exists()


def test_slurm_reads_its_own_numbers(source, checkpoint, tmp_path, monkeypatch):
    """`--array=10-30:10`: missing tasks are named as sbatch takes them, and may run again."""
    output = tmp_path / "o.csv"

    def task(number, count, first, last, step):
        names = ("ID", "COUNT", "MIN", "MAX", "STEP")
        for name, value in zip(names, (number, count, first, last, step), strict=True):
            monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
        return share(source, output, checkpoint, "auto").units

    assert task(20, 3, 10, 30, 10) == "2/3"
    with pytest.raises(UnfinishedError, match=r"--array=10,30 \(`units='I/3'`\)"):
        merged(output)
    assert task(30, 2, 10, 30, 20) == "3/3"
    assert task(10, 1, 10, 10, 1) == "1/3"
    assert merged(output).images == 26


def test_a_job_that_runs_again_scores_only_what_it_lacks(source, checkpoint, tmp_path):
    """Its own marks are its resume; nothing is scored twice, and no new file comes."""
    output = tmp_path / "o.csv"
    share(source, output, checkpoint, "1/2")
    before = {p.name: p.stat().st_mtime_ns for p in work_folder(output).iterdir()}
    report = share(source, output, checkpoint, "1/2")
    assert (report.images, report.resumed, report.left) == (14, 14, 2)
    assert {p.name: p.stat().st_mtime_ns for p in work_folder(output).iterdir()} == before


def test_later_jobs_do_not_list_again(source, checkpoint, tmp_path):
    """What was listed first is scored, whatever has come to the folder since or has gone."""
    output = tmp_path / "o.csv"
    share(source, output, checkpoint, "1/2")
    shutil.copy(source / "00.jpg", source / "000.jpg")
    (source / "07.jpg").unlink()
    share(source, output, checkpoint, "2/2")
    report = merged(output)
    assert (report.images, report.reasons["vanished"]) == (26, 1)


def test_merging_again_and_jobs_after_the_merge_have_nothing_to_do(source, checkpoint, tmp_path):
    """Both say so and change nothing."""
    output = tmp_path / "o.csv"
    share(source, output, checkpoint, "1/1")
    merged(output)
    before = output.stat().st_mtime_ns
    assert merged(output).complete
    assert share(source, output, checkpoint, "1/2").complete
    assert run(source, output, checkpoint, unit_size=6).complete
    assert output.stat().st_mtime_ns == before
    assert not work_folder(output).exists()


def test_a_job_whose_parts_were_merged_meanwhile_is_done(source, checkpoint, tmp_path, monkeypatch):
    """Another job took its units and merged: it ends as complete, without an error."""
    output = tmp_path / "o.csv"
    shared = jobs.SharedInputs

    def slow(*args, **named):
        monkeypatch.undo()
        found = shared(*args, **named)
        share(source, output, checkpoint, "1/1")
        merged(output)
        return found

    monkeypatch.setattr(jobs, "SharedInputs", slow)
    assert share(source, output, checkpoint, "1/2").complete


def test_too_many_bad_inputs_stop_the_merge(source, checkpoint, tmp_path):
    """The parts are kept, and a higher limit merges them."""
    output = tmp_path / "o.csv"
    share(source, output, checkpoint, "1/1")
    with pytest.raises(StoppedOnPurposeError, match="2 of 26"):
        merged(output, max_bad=0.01)
    assert not output.exists()
    assert merged(output, max_bad=0.1).errors == 2


@pytest.mark.parametrize("how", ["gone", "shorter", "other"])
@pytest.mark.parametrize("role", ["part", "bad", "stamps"])
def test_whatever_a_mark_names_is_checked_at_the_merge(source, checkpoint, tmp_path, role, how):
    """A unit with a damaged file is missing; scored again, it has the bytes of one process."""
    output, whole = tmp_path / "o.csv", tmp_path / "whole.csv"
    run(source, whole, checkpoint, unit_size=6)
    share(source, output, checkpoint, "1/1")
    file = max(work_folder(output).glob(f"{role}-*"))
    unit, good = int(file.name.split("-")[1]), file.read_bytes()
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(good[:-16] if how == "shorter" else bytes(len(good)))
    with pytest.raises(UnfinishedError, match=rf"1 of 5 units are damaged or gone.*: {unit}\."):
        merged(output, quarantine=tmp_path / "bad")
    assert share(source, output, checkpoint, "any").images == (6 if unit < 4 else 2)
    merged(output, quarantine=tmp_path / "bad")
    for suffix in ("", ".files.npy"):
        assert contents(Path(f"{output}{suffix}")) == contents(Path(f"{whole}{suffix}"))


def test_bad_inputs_of_every_job_are_copied_from_any_folder(
    source, checkpoint, tmp_path, monkeypatch
):
    """The source was a relative path, also for the job that listed it; a later merge says no."""
    output, away = tmp_path / "o.csv", tmp_path / "away"
    away.mkdir()
    monkeypatch.chdir(tmp_path)
    share(Path(source.name), output, checkpoint, "1/1")
    monkeypatch.chdir(away)
    assert merged(output, quarantine=away / "bad").errors == 2
    with (away / "bad" / "quarantine.csv").open(newline="") as file:
        copies = [row["copy"] for row in csv.DictReader(file)]
    assert len(copies) == 2
    assert all((away / "bad" / copy).is_file() and copy for copy in copies)
    done = CliRunner().invoke(main, ["merge", str(output), "--quarantine", "more"])
    assert done.exit_code == 0
    assert "nothing is copied to more" in done.output
    assert "copies of bad inputs" not in done.output


def test_a_damaged_start_is_one_line(source, checkpoint, tmp_path):
    """The next job stores another one."""
    output = tmp_path / "o.csv"
    share(source, output, checkpoint, "1/1")
    (started,) = work_folder(output).glob("started-*")
    started.write_bytes(b"")
    with pytest.raises(ScoreError, match=r"started-.*damaged"):
        merged(output)
    started.unlink()
    share(source, output, checkpoint, "1/1")
    assert merged(output).images == 26


def test_two_merges_at_once_are_refused(source, checkpoint, tmp_path):
    """While one holds the lock, the other says so."""
    output = tmp_path / "o.csv"
    share(source, output, checkpoint, "1/1")
    from shards import atomic

    with (
        atomic.exclusive(work_folder(output) / "lock"),
        pytest.raises(ScoreError, match="another run is writing it"),
    ):
        merged(output)
    assert merged(output).images == 26


def test_more_shares_than_units_leave_some_without_work(source, checkpoint, tmp_path):
    """Such a job ends without an error."""
    output = tmp_path / "o.csv"
    report = share(source, output, checkpoint, "64/64")
    assert (report.images, report.left) == (0, 5)
    assert os.listdir(work_folder(output))  # noqa: PTH208 - names only


def test_the_exit_codes_tell_what_to_do(source, checkpoint, tmp_path):
    """4: units are missing; 0: written, or written before; 2: a share that cannot be."""
    output = tmp_path / "o.csv"

    def called(*words):
        done = CliRunner().invoke(main, [str(word) for word in words])
        return done.exit_code, done.output

    score = ("score", source, "-m", checkpoint, "-o", output, "--device", "cpu")
    settings = ("--unit-size", 6, "--workers", 2, "--precision", "float32")
    code, text = called("merge", output)
    assert code == 2
    assert "nothing to merge" in text
    code, text = called(*score, *settings, "--units", "3/2")
    assert code == 2
    assert "--units 3/2: name a share" in text
    code, text = called(*score, *settings, "--units", f"{'1' * 5000}/{'1' * 5000}")
    assert code == 2
    assert "name a share" in text
    code, text = called(*score, *settings, "--units", "1/2")
    assert code == 0
    assert "units: 1/2" in text
    assert "units of all jobs that are not scored yet: 2" in text
    code, text = called("merge", output)
    assert code == 4
    assert "--array=2 (--units I/2)" in text
    assert "--units any" in text
    code, text = called(*score, *settings, "--units", "any")
    assert code == 0
    assert f"merge {output}" in text
    assert called(*score, *settings, "--units", "1/2", "--quiet") == (0, "")
    code, text = called("merge", output, "--json", tmp_path / "summary.json")
    assert code == 0
    assert "images: 26" in text
    assert json.loads((tmp_path / "summary.json").read_text())["errors"] == 2
    assert called("merge", output)[0] == 0


def test_a_job_killed_while_it_lists_leaves_nothing_in_the_temporary_folder(
    source, checkpoint, tmp_path, monkeypatch
):
    """The listing has no name there at any time."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    seen = []

    def put(self, name, file):
        seen.append((name, file.read(), list(temporary.iterdir())))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vocscore.scoring.output.posix_files.PosixFiles.put_file", put)
    with pytest.raises(ScoreError, match="no space left"):
        share(source, tmp_path / "o.csv", checkpoint, "1/2")
    ((name, listing, left),) = seen
    assert name == f"listing-{hashlib.sha256(listing).hexdigest()[:16]}"
    assert left == []
