"""Local copies of tars."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shards.errors import StorageError
from vocscore.pipeline import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_server import Bucket


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scratch._folder.cache_clear()
    scratch._manifest.cache_clear()
    yield
    scratch._folder.cache_clear()
    scratch._manifest.cache_clear()


def test_copy(storage: Bucket, tmp_path: Path) -> None:
    """The copy has the tar's name, with the manifest beside it, and is removed as a whole."""
    storage.put("set/a.tar", b"tar")
    storage.put("set/dataset.json", b"{}")
    copy = scratch.local_copy(storage.url("set"), "a.tar")
    file = Path(copy.file)
    assert (copy.url, file.name, file.read_bytes()) == (storage.url("set/a.tar"), "a.tar", b"tar")
    assert (file.parent / "dataset.json").read_bytes() == b"{}"
    copy.remove()
    copy.remove()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_missing(storage: Bucket, tmp_path: Path) -> None:
    """Nothing stays of a tar that is not there."""
    with pytest.raises(FileNotFoundError):
        scratch.local_copy(storage.url("set"), "a.tar")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_killed_before(storage: Bucket, tmp_path: Path) -> None:
    """Copies of a process that is gone are removed, those of one that lives stay."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [
        f"vocscore-scratch-{socket.gethostname()}-{pid}-x" for pid in (ended.pid, os.getppid())
    ]
    for name in names:
        (tmp_path / name).mkdir()
    storage.put("a.tar", b"tar")
    scratch.local_copy(storage.url(), "a.tar").remove()
    assert [(tmp_path / name).exists() for name in names] == [False, True]


def test_full(storage: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room is one line that names TMPDIR."""

    def full(*_args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    storage.put("a.tar", b"tar")
    with pytest.raises(StorageError, match="TMPDIR"):
        scratch.local_copy(storage.url(), "a.tar")
