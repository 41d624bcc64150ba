"""An output that is a folder of parts: whole or not there, and never a stranger's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vocscore.errors import ScoreError
from vocscore.scoring.output.existing import refuse_existing
from vocscore.scoring.output.ledger import open_ledger
from vocscore.scoring.output.unit_record import UnitRecord
from vocscore.scoring.output.work_folder import work_folder

DRIVER = Path(__file__).with_name("dying_folder.py")
PLAN = {"checkpoint": "a" * 64}


@pytest.fixture
def output(tmp_path):
    return tmp_path / "new" / "out"


def opened(output, plan=PLAN, *, overwrite=False):
    return open_ledger(output, plan, suffix=".csv", overwrite=overwrite, folder=True)


def fill(ledger, texts):
    for number, text in enumerate(texts):
        if number not in ledger.records:
            ledger.commit(number, UnitRecord(1), lambda file, text=text: file.write(text.encode()))


def finish(ledger, texts):
    fill(ledger, texts)
    ledger.merge(len(texts), lambda file, parts: pytest.fail("a folder is not joined"))


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_folder_holds_the_parts_and_nothing_else(output):
    """Marks, plan and lock stay outside; the work folder is gone at the end."""
    with opened(output) as ledger:
        finish(ledger, "xy")
    assert contents(output) == {"part-000000.csv": "x", "part-000001.csv": "y"}
    assert [path.name for path in output.parent.iterdir()] == ["out"]


def test_the_folder_appears_only_when_all_parts_are_there(output):
    """Before the end there is nothing under the output's name; a second run goes on."""
    with opened(output) as ledger:
        fill(ledger, "xy")
        assert not output.exists()
    with opened(output) as ledger:
        assert sorted(ledger.records) == [0, 1]
        finish(ledger, "abc")
    assert contents(output) == {
        "part-000000.csv": "x",
        "part-000001.csv": "y",
        "part-000002.csv": "c",
    }


def test_a_part_that_was_cut_is_made_again(output):
    """A part of another size than its mark says does not count as done."""
    with opened(output) as ledger:
        fill(ledger, ["whole", "whole"])
    (work_folder(output) / "rows" / "part-000001.csv").write_text("who")
    with opened(output) as ledger:
        assert list(ledger.records) == [0]


@pytest.mark.parametrize("old", ["old", "none"])
def test_killed_before_each_touch_of_the_disk_the_folder_is_whole_or_not_there(tmp_path, old):
    """Killed by -9 at every step, a reader sees all old or all new parts; the next run ends it."""
    done = subprocess.run(
        [sys.executable, DRIVER, tmp_path / "runs", old],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert json.loads(done.stdout) > 25


def test_a_finished_folder_is_kept_unless_overwritten(output):
    """A second run is refused with the cure; with overwrite, no part of the old one is left."""
    with opened(output) as ledger:
        finish(ledger, "abc")
    with pytest.raises(ScoreError, match=r"already exists\. Use `overwrite=True`"), opened(output):
        pass
    with opened(output, overwrite=True) as ledger:
        assert len(contents(output)) == 3  # until the new one is whole
        finish(ledger, "x")
    assert contents(output) == {"part-000000.csv": "x"}
    assert [path.name for path in output.parent.iterdir()] == ["out"]


def test_an_empty_folder_is_taken(output):
    """A folder that the user has made for it is no obstacle."""
    output.mkdir(parents=True)
    with opened(output) as ledger:
        finish(ledger, "x")
    assert contents(output) == {"part-000000.csv": "x"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_anything_else_is_never_replaced(output, overwrite):
    """-o photos/ --overwrite is refused; the images stay."""
    output.mkdir(parents=True)
    (output / "holiday.jpg").write_text("mine")
    (output / "part-000000.csv").write_text("x")
    with (
        pytest.raises(ScoreError, match=r"contains holiday.jpg, which is not a part"),
        opened(output, overwrite=overwrite),
    ):
        pass
    assert len(contents(output)) == 2


def test_a_strangers_file_that_came_during_the_run_survives(output):
    """What was put into the folder meanwhile stops the end of the run; moved away, it goes on."""
    with opened(output) as ledger:
        fill(ledger, "x")
        output.mkdir()
        (output / "notes.txt").write_text("mine")
        with pytest.raises(ScoreError, match=r"contains notes\.txt.* Move that away"):
            finish(ledger, "x")
    assert contents(output) == {"notes.txt": "mine"}
    (output / "notes.txt").unlink()
    with opened(output) as ledger:
        assert list(ledger.records) == [0]
        finish(ledger, "x")
    assert contents(output) == {"part-000000.csv": "x"}


def test_rows_that_someone_removed_are_scored_again(output):
    """Without the folder of rows, an unfinished run starts anew instead of failing for ever."""
    with opened(output) as ledger:
        fill(ledger, "xy")
    shutil.rmtree(work_folder(output) / "rows")
    with opened(output) as ledger:
        assert not ledger.records
        finish(ledger, "ab")
    assert contents(output) == {"part-000000.csv": "a", "part-000001.csv": "b"}


def test_a_file_is_not_replaced_by_a_folder(output):
    """--format with the name of a file is refused, even to overwrite."""
    output.parent.mkdir()
    output.write_text("mine")
    with pytest.raises(ScoreError, match="a file, but `format` writes a folder"):
        refuse_existing(output, overwrite=True, folder=True)


def test_a_discarded_run_leaves_nothing(output):
    """Discarded, neither the folder nor its work folder is there."""
    with opened(output) as ledger:
        fill(ledger, "ab")
        ledger.discard()
    assert list(output.parent.iterdir()) == []


def test_another_plan_drops_the_parts_only_with_overwrite(output):
    """The parts of another plan, even of another format, are not mixed in."""
    with opened(output) as ledger:
        fill(ledger, "ab")
    other = {"checkpoint": "b" * 64}
    with pytest.raises(ScoreError, match="differs in the checkpoint"), opened(output, other):
        pass
    with opened(output, other, overwrite=True) as ledger:
        assert not ledger.records
        finish(ledger, "x")
    assert contents(output) == {"part-000000.csv": "x"}
