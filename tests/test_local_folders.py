"""Folders of object storage are fetched into the cache once, and packed from there."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import vocscore as vs
from shards.errors import StorageError
from vocscore import local_folders
from vocscore.cli.main import main
from vocscore.local_folders import local_folder, local_run

if TYPE_CHECKING:
    from pathlib import Path

    from s3_server import Bucket


pytestmark = pytest.mark.usefixtures("fetch_cache")


def files_of(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of the files in a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_once(storage: Bucket, tmp_path: Path) -> None:
    """The tree is that of the storage, and is fetched once; what changes is fetched again."""
    storage.put("set/a.txt", b"1")
    storage.put("set/b/c.txt", b"")
    told: list[tuple[int, int]] = []
    folder = local_folder(storage.url("set/"), told=lambda done, whole: told.append((done, whole)))
    assert folder.name == "set"
    assert files_of(folder) == {"a.txt": b"1", "b/c.txt": b""}
    assert told[0] == (0, 1)
    assert told[-1] == (1, 1)
    storage.layer.reset()
    assert local_folder(storage.url("set")) == folder
    assert not [line for line in storage.layer.log if ".txt" in line]
    storage.put("set/a.txt", b"2")
    again = local_folder(storage.url("set"))
    assert files_of(again)["a.txt"] == b"2"
    assert files_of(folder)["a.txt"] == b"1"  # somebody may be using it


def test_paths_stay(tmp_path: Path) -> None:
    """A path is returned as it is, whether it is there or not."""
    assert local_folder(tmp_path / "no") == tmp_path / "no"
    assert local_run("run") == type(tmp_path)("run")


def test_nothing_there(storage: Bucket) -> None:
    """A prefix without objects is an error, as is a key that leads out of the folder."""
    with pytest.raises(StorageError, match="nothing"):
        local_folder(storage.url("set"))
    storage.put("set/../../x", b"1")
    with pytest.raises(StorageError, match="leads out"):
        local_folder(storage.url("set"))


def test_interrupted(storage: Bucket) -> None:
    """A fetch that was refused goes on with what is missing."""
    for name in ("a", "b", "c"):
        storage.put(f"set/{name}", name.encode())
    fault = storage.layer.add("refuse", status=403, keys="/set/c$")
    with pytest.raises(StorageError, match="denied"):
        local_folder(storage.url("set"))
    fault.times = fault.done
    storage.layer.log.clear()
    assert files_of(local_folder(storage.url("set"))) == {"a": b"a", "b": b"b", "c": b"c"}
    fetched = [line for line in storage.layer.log if line.endswith(("/a", "/b", "/c"))]
    assert len(fetched) < 3


def test_changed_while_it_is_fetched(storage: Bucket) -> None:
    """A copy never has one file of before a change and one of after it."""
    for name in ("a", "b"):
        storage.put(f"set/{name}", b"1")

    def change(request: str) -> None:
        if "set/b?" in request:
            storage.put("set/b", b"2")

    storage.layer.watch = change
    with pytest.raises(StorageError, match=r"/set/b: it has changed.*Rerun"):
        local_folder(storage.url("set"))
    storage.layer.reset()
    assert files_of(local_folder(storage.url("set"))) == {"a": b"1", "b": b"2"}


def test_run_of_a_web_server(storage: Bucket) -> None:
    """A run can be fetched from a server without a listing."""
    for name in ("model.json", "model.safetensors"):
        storage.put(f"run/{name}", name.encode(), ACL="public-read")
    folder = local_run(f"{storage.server.url}/{storage.name}/run")
    assert set(files_of(folder)) == {"model.json", "model.safetensors"}


def test_pack(storage: Bucket, voc_tree: Path, tmp_path: Path) -> None:
    """A set in storage is packed to the bytes of the local one."""
    url = storage.put_tree(voc_tree, "VOC2012")
    for source, name in ((voc_tree, "local"), (url, "remote")):
        words = ["pack", str(source), "-o", str(tmp_path / name), "--shard-samples", "20"]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
    local, remote = files_of(tmp_path / "local"), files_of(tmp_path / "remote")
    shards = {name for name in local if name.endswith((".tar", ".idx", ".npy"))}
    assert shards
    assert {name: remote[name] for name in shards} == {name: local[name] for name in shards}
    assert set(remote) == set(local)


def test_verify(storage: Bucket, packed: Path) -> None:
    """Functions take URLs, too."""
    assert not vs.verify(storage.put_tree(packed, "shards")).problems


def test_run_on_another_machine(
    storage: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is sent to another machine is fetched there; no credentials travel."""
    storage.put("run/model.json", b"{}")
    sent = pickle.dumps(local_run(storage.url("run")))
    assert b"secret-of-the-test" not in sent
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    local_folders._cache.cache_clear()
    there = pickle.loads(sent)
    assert there.is_relative_to(tmp_path / "another")
    assert files_of(there) == {"model.json": b"{}"}
    assert pickle.loads(pickle.dumps(there / "model.json")) == there / "model.json"
