"""Files that are whole or not there, and the lock beside them."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from shards import atomic


def test_write_replaces_a_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    """Written twice, a file has the second bytes, and no temporary file stays."""
    atomic.write(tmp_path / "a.csv", b"one")
    atomic.write(tmp_path / "a.csv", b"two")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a.csv": b"two"}


def test_an_error_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    """When the block fails, the old bytes stand, and the temporary file is gone."""
    atomic.write(tmp_path / "a.csv", b"old")

    def interrupted() -> NoReturn:
        with atomic.replacing(tmp_path / "a.csv") as file:
            file.write(b"new")
            assert len(list(tmp_path.glob(".a.csv.*.tmp"))) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a.csv": b"old"}


def test_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced before it gets its name, and the folder after."""
    calls: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        calls.append("sync " + (atomic.final_name(name) if name.endswith(".tmp") else "folder"))
        real_sync(descriptor)

    def replace(source: Path, target: Path) -> Path:
        calls.append(f"{atomic.final_name(source.name)} -> {target.name}")
        return real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    atomic.write(tmp_path / "a.csv", b"x")
    assert calls == ["sync a.csv", "a.csv -> a.csv", "sync folder"]


def test_a_second_process_does_not_get_the_lock(tmp_path: Path) -> None:
    """While one holds the lock, another process is refused; afterwards it is not."""
    code = (
        "import sys, pathlib\nfrom shards import atomic\n"
        "with atomic.exclusive(pathlib.Path(sys.argv[1])): print('held')"
    )

    def other() -> str:
        command = [sys.executable, "-c", code, str(tmp_path / "lock")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    with atomic.exclusive(tmp_path / "lock"):
        assert "BlockingIOError" in other()
    assert other() == "held\n"


def test_a_lock_file_that_was_removed_locks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opened the lock file just before its holder removed it takes a new one."""
    real = fcntl.flock
    removed = []

    def flock(descriptor: int, how: int) -> None:
        real(descriptor, how)
        if not removed:
            removed.append(True)
            (tmp_path / "lock").unlink()

    monkeypatch.setattr(fcntl, "flock", flock)
    with atomic.exclusive(tmp_path / "lock"):
        descriptor = os.open(tmp_path / "lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            real(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)


def test_a_file_system_without_locks_does_not_stop_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where flock is not supported, the block runs without a lock."""

    def flock(descriptor: int, how: int) -> NoReturn:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with atomic.exclusive(tmp_path / "lock"):
        assert (tmp_path / "lock").exists()


def test_a_required_lock_that_cannot_be_had_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without flock, a caller that needs the lock is refused, and nothing stays open."""

    def flock(descriptor: int, how: int) -> NoReturn:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    with (
        pytest.raises(atomic.NoLocksError, match="Function not implemented"),
        atomic.exclusive(tmp_path / "lock", required=True),
    ):
        pass
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_two_writers_of_one_name_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    """Two writers at once: the name has the bytes of the last one, whole, and neither fails."""
    with atomic.replacing(tmp_path / "a") as first, atomic.replacing(tmp_path / "a") as second:
        first.write(b"1" * 70_000)
        second.write(b"2" * 50_000)
    assert (tmp_path / "a").read_bytes() == b"1" * 70_000
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_process_was_writing_is_removed_by_the_next(tmp_path: Path) -> None:
    """Temporary files of ended processes go; those of a living one and other files stay."""
    code = (
        "import sys, pathlib\nfrom shards import atomic\n"
        "print(atomic.temporary(pathlib.Path(sys.argv[1])).name)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "b.csv")]
    left = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    mine = atomic.temporary(tmp_path / "b.csv").name
    elsewhere = f".b.csv.{'0' * 8}-1-{'0' * 8}.tmp"
    for name in (left, mine, elsewhere, ".user.tmp"):
        (tmp_path / name).touch()
    assert [path.name for path in atomic.leftovers(tmp_path / "b.csv")] == [left]
    atomic.write(tmp_path / "a.csv", b"x")
    assert {path.name for path in tmp_path.iterdir()} == {mine, elsewhere, ".user.tmp", "a.csv"}


def test_a_temporary_name_tells_its_final_name() -> None:
    """Also one of an older version, without host and process; other names are unchanged."""
    path = Path("/x/part-000001.csv")
    assert atomic.final_name(atomic.temporary(path).name) == path.name
    assert atomic.final_name(".part-000001.csv.tmp") == path.name
    assert atomic.final_name(".vocscore.json") == ".vocscore.json"
    assert atomic.temporary(path) != atomic.temporary(path)
