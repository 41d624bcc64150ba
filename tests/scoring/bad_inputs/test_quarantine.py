"""`--quarantine`: bad inputs are copied and listed, whatever happens meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from quarantines import BAD, RUN, check, copies, table
from score_doubles import FakeForward, make_files, score_fake

from vocscore.errors import ScoreError, StoppedOnPurposeError
from vocscore.scoring.bad_inputs import bad_inputs, copy_bytes
from vocscore.scoring.bad_inputs.quarantine import Quarantine, refuse_inside
from vocscore.scoring.output.work_folder import work_folder


def test_offenders_are_copied_with_their_folders_and_listed(source, output, folder):
    """Bytes and folder structure are kept, the table has path, reason, detail and copy."""
    score_fake(source, output, quarantine=folder)
    check(source, folder, BAD)
    assert sorted(copies(folder)) == BAD
    assert not work_folder(output).exists()


def test_a_quarantine_asked_for_in_the_middle_has_everything(source, output, folder):
    """What earlier runs without a quarantine had met is copied, too."""

    class Stops(FakeForward):
        units = 0

        def flush(self):
            self.units += 1
            if self.units == 4:
                raise KeyboardInterrupt
            return iter(())

    with pytest.raises(KeyboardInterrupt):
        score_fake(source, output, forward=Stops())
    score_fake(source, output, quarantine=folder)
    check(source, folder, BAD)


def test_a_run_that_its_limit_stops_leaves_the_table(source, output, folder, monkeypatch):
    """When --max-bad stops a run, the bad inputs so far are copied and listed."""
    monkeypatch.setattr(bad_inputs, "LEAST_ROWS", 3)
    with pytest.raises(StoppedOnPurposeError):
        score_fake(source, output, max_bad=0.0, quarantine=folder)
    check(source, folder, BAD[:1])


@pytest.mark.parametrize("moment", range(12))
def test_a_quarantine_that_was_cut_short_is_completed(source, output, folder, monkeypatch, moment):
    """Stopped before any of its writes and renames, the next run leaves the same folder."""
    real, count = Path.replace, iter(range(99))

    def replace(self, target):
        if str(target).startswith(str(folder)) and next(count) == moment:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        try:
            score_fake(source, output, quarantine=folder)
        except KeyboardInterrupt:
            assert moment < len(BAD) + 2  # the mark, the copies, the table
            score_fake(source, output, quarantine=folder)
    check(source, folder, BAD)
    assert not list(folder.rglob(".*.tmp"))


def test_half_a_copy_is_made_again_and_a_whole_one_is_not(source, output, folder):
    """A copy of another size than its source, as a power cut leaves, is replaced."""
    score_fake(source, output, quarantine=folder)
    half, whole = folder / BAD[0], folder / BAD[1]
    half.write_bytes(b"")
    before = whole.stat().st_ino
    score_fake(source, output, quarantine=folder, overwrite=True)
    check(source, folder, BAD)
    assert whole.stat().st_ino == before


def test_what_cannot_be_copied_is_listed(source, output, folder):
    """Vanished files, folders and pipes in a file's place are in the table without a copy."""
    (source / "gonebad.jpg").symlink_to("nowhere")
    os.mkfifo(source / "pipebad.jpg")
    listed = source.parent / "l.txt"
    listed.write_text("in/gonebad.jpg\nin/pipebad.jpg\nin/0/nulbad\x01.jpg\nin\n" + f"in/{BAD[0]}")
    score_fake(listed, output, quarantine=folder)
    rows = table(folder)
    assert [bool(row["copy"]) for row in rows] == [False, False, False, True]
    assert list(copies(folder)) == [f"in/{BAD[0]}"]


def test_bytes_that_the_disk_does_not_hand_out_are_listed(source, output, folder, monkeypatch):
    """An input/output error while copying leaves no half of a copy, and the run goes on."""
    real, count = os.pread, iter(range(99))

    def pread(descriptor, size, offset):
        if next(count) == 1:
            raise OSError(5, "Input/output error")
        return real(descriptor, size, offset)

    monkeypatch.setattr(copy_bytes.os, "pread", pread)
    score_fake(source, output, quarantine=folder)
    assert [bool(row["copy"]) for row in table(folder)] == [True, False, *[True] * (len(BAD) - 2)]
    assert sorted(copies(folder)) == [BAD[0], *BAD[2:]]


def test_the_quarantine_of_other_inputs_and_a_folder_in_use_are_refused(tmp_path, folder):
    """Another job's folder, and a folder with anything in it, is not mixed with."""
    for _ in range(2):
        Quarantine(folder, run=RUN).begin()
    with pytest.raises(ScoreError, match="not the quarantine of these inputs"):
        Quarantine(folder, run={"listing": "y"})
    with pytest.raises(ScoreError, match="not empty"):
        Quarantine(make_files(tmp_path / "used", ["mine.jpg"]), run=RUN)


def test_a_quarantine_inside_its_source_is_refused(tmp_path):
    """Copies must not be inputs of the next run; links do not hide it."""
    source = make_files(tmp_path / "in", ["x/a.jpg"])
    (tmp_path / "link").symlink_to(source / "x")
    for inside in (source, source / "q", source / "x/q", tmp_path / "link" / "q"):
        with pytest.raises(ScoreError, match="copies would become inputs"):
            refuse_inside(inside, source)
    refuse_inside(tmp_path / "in2", source)


def test_a_disk_that_will_not_have_the_copies_is_one_line(source, output, folder, monkeypatch):
    """A full disk stops the run, what is finished is kept, and the next run goes on."""

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(copy_bytes, "_pour", full)
        with pytest.raises(ScoreError, match=r"q/0/01bad\.jpg: cannot be written: no space left"):
            score_fake(source, output, quarantine=folder)
    score_fake(source, output, quarantine=folder)
    check(source, folder, BAD)
