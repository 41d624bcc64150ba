"""Packing onto disks that are full, read-only, forbidden or failing."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from small_disk import in_a_small_disk
from small_sets import content, pack_small, small_set

import shards.packing.packer
from shards.errors import PackError

HERE = Path(__file__).parent
FILL_A_DISK = """
import subprocess, sys
from pathlib import Path
from small_sets import content, pack_small, small_set
from shards.errors import PackError
folder = Path(sys.argv[1])
annotated = small_set(folder / "in", images=200)
try:
    pack_small(annotated, folder / "disk" / "out", shard_samples=20)
except PackError as error:
    print(error)
print(sorted(path.name for path in (folder / "disk" / "out" / ".progress").iterdir()))
subprocess.run(["mount", "-o", "remount,size=8m", str(folder / "disk")], check=True)
pack_small(annotated, folder / "disk" / "out", shard_samples=20)
pack_small(annotated, folder / "expected", shard_samples=20)
print(content(folder / "disk" / "out") == content(folder / "expected"))
"""


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """On a full disk the run stops with file, reason, what is kept and the cure; then goes on."""
    line, left, same = in_a_small_disk(tmp_path, "200k", FILL_A_DISK, beside=HERE).splitlines()
    assert "train-00000" in line
    assert "No space left on device. " in line
    assert re.search(
        r"[12] finished shards? (is|are) kept: free disk space and rerun the same comm", line
    )
    assert left == "['journal.jsonl', 'lock', 'plan.json']"
    assert same == "True"


def test_a_full_disk_is_one_line_for_workers_as_well(tmp_path: Path) -> None:
    """A worker that finds the disk full leaves nothing half, and the run goes on as above."""
    program = FILL_A_DISK.replace("shard_samples=20)", "shard_samples=20, pool=ShufflingPool())", 2)
    program = program.replace(
        "import subprocess", "from pack_pools import ShufflingPool\nimport subprocess"
    )
    line, left, same = in_a_small_disk(tmp_path, "200k", program, beside=HERE).splitlines()
    assert re.search(r"(train-00000|checked).*No space left on device\. ", line)
    assert line.endswith("rerun the same command, or choose another folder with `output`.")
    assert set(json.loads(left.replace("'", '"'))) <= {
        "journal.jsonl",
        "lock",
        "plan.json",
        "checked.jsonl",
    }
    assert same == "True"


READ_ONLY_DISK = """
import subprocess, sys
from pathlib import Path
from small_sets import pack_small, small_set
from shards.errors import PackError
folder = Path(sys.argv[1])
annotated = small_set(folder / "in")
out = folder / "disk" / "out"
pack_small(annotated, out)
subprocess.run(["mount", "-o", "remount,ro", str(folder / "disk")], check=True)
print(pack_small(annotated, out).unchanged)
for target, overwrite in ((out, True), (folder / "disk" / "new", False)):
    try:
        pack_small(annotated, target, overwrite=overwrite)
    except PackError as error:
        print(error)
"""


def test_a_read_only_disk_is_one_line(tmp_path: Path) -> None:
    """A read-only target is named with the reason; a finished set on it is still left alone."""
    printed = in_a_small_disk(tmp_path, "900k", READ_ONLY_DISK, beside=HERE)
    unchanged, *lines = printed.splitlines()
    assert unchanged == "True"
    assert len(lines) == 2
    for line in lines:
        assert line.startswith(str(tmp_path / "disk"))
        assert ": Read-only file system. " in line


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write into any folder")
def test_a_folder_without_write_permission_is_one_line(tmp_path: Path) -> None:
    """A target that the user may not write into is named, with the reason and the cure."""
    (tmp_path / "out").mkdir(mode=0o555)
    with pytest.raises(PackError, match=r"Permission denied. Give write permission"):
        pack_small(small_set(tmp_path / "in"), tmp_path / "out")


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    """A file where the folder of shards should be is named."""
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(PackError, match=f"{tmp_path}/out.*(Not a directory|File exists)"):
        pack_small(small_set(tmp_path / "in"), tmp_path / "out")


def test_a_disk_that_fails_while_a_shard_is_committed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in the thread that brings shards to the disk stops the run, with one line."""
    annotated = small_set(tmp_path / "in")
    real = shards.packing.packer.ShardWriter.commit
    count = iter(range(99))

    def commit(self: Any, folder: Path) -> None:
        if next(count) == 1:
            raise OSError(5, "Input/output error", "train-000001.tar")
        real(self, folder)

    with monkeypatch.context() as patch:
        patch.setattr(shards.packing.packer.ShardWriter, "commit", commit)
        with pytest.raises(PackError, match=r"train-000001\.tar: Input/output error\. 1 finished"):
            pack_small(annotated, tmp_path / "out")
    pack_small(annotated, tmp_path / "out")
    pack_small(annotated, tmp_path / "undisturbed")
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")
