from __future__ import annotations

import errno
import json
import os

import pytest

from shards import atomic
from vocscore.errors import ScoreError
from vocscore.scoring.output.differences import differences
from vocscore.scoring.output.ledger import open_ledger
from vocscore.scoring.output.unit_record import UnitRecord
from vocscore.scoring.output.work_folder import work_folder

PLAN = {
    "source": "/a",
    "checkpoint": "a" * 64,
    "preprocess": {"size": 64, "mean": (0.1, 0.2, 0.3)},
    "threshold": 0.5,
}


@pytest.fixture
def output(tmp_path):
    return tmp_path / "new" / "out.csv"


def opened(output, plan=PLAN, *, overwrite=False):
    return open_ledger(output, plan, suffix=".csv", overwrite=overwrite)


def commit(ledger, number, text=None, **record):
    data = (text or f"{number}\n").encode()
    ledger.commit(number, UnitRecord(1, **record), lambda file: file.write(data))


def join(file, parts):
    file.write(b"header\n")
    for part in parts:
        file.write(part.read_bytes())


def names(output):
    return sorted(path.name for path in output.parent.iterdir())


def test_parts_are_joined_by_unit_whatever_the_order_of_commits(output):
    """Parts committed in any order are merged by number; only the output is left."""
    with opened(output) as ledger:
        for number in (2, 0, 10, 1, *range(3, 10)):
            commit(ledger, number)
        ledger.merge(11, join)
    assert output.read_text() == "header\n" + "".join(f"{i}\n" for i in range(11))
    assert names(output) == ["out.csv"]


def test_the_output_appears_only_when_it_is_merged(output):
    """Before the merge there is no file of the output's name."""
    with opened(output) as ledger:
        commit(ledger, 0)
        assert names(output) == ["out.csv.parts"]


def test_a_merge_with_a_unit_missing_is_refused(output):
    """Parts that do not make up all units are never joined."""
    with opened(output) as ledger:
        commit(ledger, 1)
        with pytest.raises(RuntimeError, match="2 units"):
            ledger.merge(2, join)


def test_a_run_with_the_same_plan_is_taken_up_with_its_records(output):
    """Committed parts and what is known of them are there for the next run."""
    with opened(output) as ledger:
        commit(ledger, 3, errors={"empty": 1}, problems=("a.tar: ends early",))
    with opened(output) as ledger:
        assert ledger.records == {3: UnitRecord(1, {"empty": 1}, ("a.tar: ends early",))}


def test_a_part_that_is_not_whole_is_made_again(output):
    """A part without its record, of another size, or with a broken record does not count."""
    with opened(output) as ledger:
        for number in range(4):
            commit(ledger, number)
    work = work_folder(output)
    (work / "part-000000.json").unlink()
    (work / "part-000001.csv").write_text("1\n1\n")
    (work / "part-000002.json").write_text("{")
    with opened(output) as ledger:
        assert list(ledger.records) == [3]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "/b"}, "the source (/a there, /b now)"),
        ({"checkpoint": "b" * 64}, "the checkpoint (aaaaaaaaaaaa there, bbbbbbbbbbbb now)"),
        (
            {"preprocess": {"size": 32, "mean": (0.1, 0.2, 0.3)}},
            "the preprocess size (64 there, 32 now)",
        ),
        ({"threshold": 0.25}, "the threshold (0.5 there, 0.25 now)"),
        ({"unit_size": 7}, "the unit size (None there, 7 now)"),
    ],
)
def test_another_plan_is_refused_with_what_differs_and_the_cure(output, change, said):
    """An unfinished run with other settings is kept, and the error names them and both cures."""
    with opened(output) as ledger:
        commit(ledger, 0)
    with pytest.raises(ScoreError) as error, opened(output, {**PLAN, **change}):
        pass
    line = str(error.value)
    assert f"differs in {said}. " in line
    assert "`overwrite=True`" in line
    assert "-o" in line
    assert str(output) in line
    with opened(output) as ledger:
        assert list(ledger.records) == [0]


def test_all_differences_are_named():
    """Every setting that differs is named, those that only the old plan has as well."""
    found = differences({"a": 1, "b": 2, "old": 3}, {"a": 2, "b": 2, "new": {"x": 4}})
    assert found == [
        "the a (1 there, 2 now)",
        "the new x (None there, 4 now)",
        "the old (3 there, None now)",
    ]


def test_overwrite_drops_a_run_with_another_plan(output):
    """With overwrite, other settings start anew."""
    with opened(output) as ledger:
        commit(ledger, 0)
    with opened(output, {**PLAN, "threshold": 0.1}, overwrite=True) as ledger:
        assert not ledger.records
    assert not list(work_folder(output).glob("part-*"))


def test_overwrite_takes_up_a_run_with_the_same_plan(output):
    """A command with --overwrite that was stopped goes on when it is given again."""
    with opened(output, overwrite=True) as ledger:
        commit(ledger, 0)
    with opened(output, overwrite=True) as ledger:
        assert list(ledger.records) == [0]


def test_an_output_that_exists_is_refused_and_left_alone(output):
    """A finished output, or any file of that name, is not touched, and nothing is left behind."""
    output.parent.mkdir()
    output.write_text("mine")
    with pytest.raises(ScoreError, match=r"already exists.*`overwrite=True`"), opened(output):
        pass
    assert output.read_text() == "mine"
    assert names(output) == ["out.csv"]


def test_an_overwritten_output_stays_until_the_new_one_is_complete(output):
    """The old output is there until the merge; a stopped run goes on without being refused."""
    output.parent.mkdir()
    output.write_text("old")
    with opened(output, overwrite=True) as ledger:
        commit(ledger, 0)
    assert output.read_text() == "old"
    with opened(output) as ledger:
        ledger.merge(1, join)
    assert output.read_text() == "header\n0\n"


def test_a_second_run_on_one_output_is_refused(output):
    """While a run holds an output, another is refused, and goes on to work afterwards."""
    with opened(output) as ledger:
        with (
            pytest.raises(ScoreError, match="another run is writing it"),
            opened(output, overwrite=True),
        ):
            pass
        commit(ledger, 0)
    with opened(output) as ledger:
        assert list(ledger.records) == [0]


def test_a_strangers_folder_in_the_way_is_not_touched(output):
    """A folder of the work folder's name with other files in it is refused, even to overwrite."""
    work = work_folder(output)
    work.mkdir(parents=True)
    (work / "thesis.tex").write_text("mine")
    with (
        pytest.raises(
            ScoreError, match=r"needed for the parts of this run, but it contains thesis\.tex"
        ),
        opened(output, overwrite=True),
    ):
        pass
    assert (work / "thesis.tex").read_text() == "mine"


def test_a_strangers_file_in_the_work_folder_survives_the_end(output):
    """Only files of the ledger are removed."""
    with opened(output) as ledger:
        commit(ledger, 0)
        (work_folder(output) / "notes.txt").write_text("mine")
        ledger.merge(1, join)
    assert output.exists()
    assert (work_folder(output) / "notes.txt").read_text() == "mine"


def test_a_damaged_plan_is_an_error_with_the_cure(output):
    """A plan that is no JSON object is refused with what to remove."""
    with opened(output):
        pass
    (work_folder(output) / "plan.json").write_text("[1")
    with pytest.raises(ScoreError, match=r"plan\.json: damaged.*Remove"), opened(output):
        pass


def test_what_a_finished_run_left_is_removed_by_the_next(output):
    """A run killed after its output was complete leaves nothing that is taken for unfinished."""
    with opened(output) as ledger:
        commit(ledger, 0)
    work = work_folder(output)
    (work / "plan.json").rename(work / "done.json")
    output.write_text("complete")
    with pytest.raises(ScoreError, match="already exists"), opened(output):
        pass
    assert names(output) == ["out.csv"]


def test_a_full_disk_is_one_line_and_keeps_what_is_committed(output, monkeypatch):
    """No space left: a ScoreError with the cure; the parts before are kept, no litter is left."""
    fsync = os.fsync

    def full(descriptor):
        if monkeypatched:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatched = False
    monkeypatch.setattr(os, "fsync", full)
    with opened(output) as ledger:
        commit(ledger, 0)
        monkeypatched = True
        with pytest.raises(ScoreError) as error:
            commit(ledger, 1)
    line = str(error.value)
    assert "no space left" in line
    assert "rerun the same command" in line
    assert "\n" not in line
    monkeypatched = False
    assert not list(work_folder(output).glob("*.tmp"))
    with opened(output) as ledger:
        assert list(ledger.records) == [0]


def test_a_removed_work_folder_is_one_line(output):
    """The folder removed under a run is an error with its name, not a traceback."""
    with opened(output) as ledger:
        commit(ledger, 0)
        for file in work_folder(output).iterdir():
            file.unlink()
        work_folder(output).rmdir()
        with pytest.raises(ScoreError, match="no such file"):
            commit(ledger, 1)


def test_a_folder_cannot_be_the_output(tmp_path):
    """-o must not name a folder."""
    with pytest.raises(ScoreError, match=r"a folder\. Name a file"), opened(tmp_path):
        pass


def test_a_discarded_run_leaves_nothing(output):
    """Discarded, neither output nor work folder is there."""
    with opened(output) as ledger:
        commit(ledger, 0)
        ledger.discard()
    assert names(output) == []


def test_a_plan_is_written_whole(output):
    """The plan can be read by people: JSON with the format's version."""
    with opened(output):
        plan = json.loads((work_folder(output) / "plan.json").read_text())
    assert plan == {"format": 1, **json.loads(json.dumps(PLAN))}


def test_a_run_without_parts_that_died_is_started_again(output):
    """A run that died while it wrote its plan is no stranger."""
    work = work_folder(output)
    work.mkdir(parents=True)
    (work / "lock").touch()
    atomic.temporary(work / "plan.json").write_text('{"for')
    with opened(output) as ledger:
        commit(ledger, 0)
        ledger.merge(1, join)
    assert names(output) == ["out.csv"]


def test_a_file_system_without_locks_is_refused_with_the_cure(output, monkeypatch):
    """Where nothing keeps a second run away, scoring does not begin; one line names the way out."""

    def flock(descriptor, how):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(ScoreError, match=r"has no locks .* `units='1/1'` .*merge"), opened(output):
        pass


def test_what_a_run_killed_elsewhere_was_writing_is_removed(output):
    """Temporary files of any machine go when the run is resumed; they are recognized by name."""
    with opened(output) as ledger:
        commit(ledger, 0)
    work = work_folder(output)
    for name in (f".part-000001.csv.{'0' * 8}-1-{'0' * 8}.tmp", ".bad-000001.jsonl.tmp"):
        (work / name).touch()
    (work / ".notes.txt.tmp").touch()
    with opened(output) as ledger:
        assert list(ledger.records) == [0]
    assert [path.name for path in work.glob(".*")] == [".notes.txt.tmp"]
