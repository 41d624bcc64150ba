"""Whose files packing may replace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from small_sets import content, pack_small, small_set

from shards import atomic
from shards.errors import DamageError, PackError
from shards.sample import AnnotatedSet

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("finished", [True, False])
def test_overwrite_removes_the_old_set_and_only_that(finished: bool, tmp_path: Path) -> None:
    """With --overwrite every file of the old set goes; files of other people stay."""
    out = tmp_path / "out"
    annotated = small_set(tmp_path / "in", images=30, bad=(29,))
    if finished:
        pack_small(annotated, out, max_bad=1)
    else:
        with pytest.raises(PackError):
            pack_small(annotated, out)
        (out / ".progress" / "train-000009.tar").touch()  # a kill leaves such a file
    strangers = {"notes.txt": b"1", "other-000000.tar": b"2", "train.tar": b"3", "my.idx": b"4"}
    for name, data in strangers.items():
        (out / name).write_bytes(data)
    fewer = AnnotatedSet(annotated.root, annotated.samples[:7])
    report = pack_small(fewer, out, overwrite=True)
    pack_small(fewer, tmp_path / "expected")
    assert content(out) == content(tmp_path / "expected") | strangers
    assert not report.unchanged


@pytest.mark.parametrize("name", ["train-000000.tar", "val-000007.idx", "rejected.csv"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_files_of_others_are_not_overwritten(name: str, overwrite: bool, tmp_path: Path) -> None:
    """A file in the way that no run here has written is refused, with --overwrite too."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(b"precious")
    with pytest.raises(PackError, match=f"{name} already exists and is not part of a set"):
        pack_small(small_set(tmp_path / "in"), tmp_path / "out", overwrite=overwrite)
    assert content(tmp_path / "out") == {name: b"precious"}
    assert not (tmp_path / "out" / ".progress").exists()


def test_overwrite_does_not_guess(tmp_path: Path) -> None:
    """With a damaged dataset.json nothing is removed: which files are ours is not known."""
    annotated = small_set(tmp_path / "in")
    pack_small(annotated, tmp_path / "out")
    (tmp_path / "out" / "dataset.json").write_text("{")
    before = content(tmp_path / "out")
    with pytest.raises(DamageError, match="cannot be told from other files"):
        pack_small(annotated, tmp_path / "out", overwrite=True)
    assert content(tmp_path / "out") == before


def test_an_overwriting_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    """--overwrite on the unfinished set of the same plan resumes it."""
    annotated = small_set(tmp_path / "in", bad=(13,))
    with pytest.raises(PackError):
        pack_small(annotated, tmp_path / "out")
    tar = tmp_path / "out" / "train-000000.tar"
    before = tar.stat().st_ino
    pack_small(annotated, tmp_path / "out", overwrite=True, max_bad=1)
    assert tar.stat().st_ino == before


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    """While one run is at work in a folder, a second is refused and changes nothing."""
    annotated = small_set(tmp_path / "in")
    (tmp_path / "out" / ".progress").mkdir(parents=True)
    with (
        atomic.exclusive(tmp_path / "out" / ".progress" / "lock"),
        pytest.raises(PackError, match="another 'vocscore pack' is running there"),
    ):
        pack_small(annotated, tmp_path / "out")
    assert content(tmp_path / "out") == {".progress/lock": b""}


def test_a_finished_set_is_left_alone(tmp_path: Path) -> None:
    """The same set again is not touched, and the report says so; nor is it for another one."""
    annotated = small_set(tmp_path / "in")
    first = pack_small(annotated, tmp_path / "out")
    before = content(tmp_path / "out")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    again = pack_small(annotated, tmp_path / "out", workers=1, max_bad=0.3)
    assert again.unchanged
    assert again.manifest == first.manifest
    with pytest.raises(
        PackError, match=r"packed with shard_samples 3, now 4\. Use `overwrite=True`"
    ):
        pack_small(annotated, tmp_path / "out", shard_samples=4)
    assert content(tmp_path / "out") == before
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == times
