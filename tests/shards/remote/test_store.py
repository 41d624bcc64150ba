"""Objects are read, listed and written; what goes wrong is told from what is missing."""

from __future__ import annotations

import pickle
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shards.errors import StorageError
from shards.remote import opening, pages, store
from shards.remote.download import fetch

if TYPE_CHECKING:
    from pathlib import Path

    from s3_server import Bucket

ODD = ["a/#h?q.jpg", "a/%2F.jpg", "a/back\\s.jpg", "a/star*[x].jpg", "a/x y.jpg", "a/ü%20.jpg"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two retries at once."""
    quick = {"backoff": {"init_backoff": timedelta(milliseconds=1)}, "max_retries": 2}
    monkeypatch.setattr(opening, "RETRY", {**opening.RETRY, **quick})


def test_odd_keys(storage: Bucket) -> None:
    """Keys with signs that mean something in web addresses are listed and read as they are."""
    for key in ODD:
        storage.put(key, key.encode())
    assert [entry.name for entry in store.listing(storage.url("a"))] == [key[2:] for key in ODD]
    assert all(store.read(storage.url(key)) == key.encode() for key in ODD)


def test_listing(storage: Bucket) -> None:
    """A prefix is whole parts of a path; sizes and etags come; keys of folders do not."""
    for key in ("set/", "set/b.jpg", "set/c/", "set/c/d.jpg", "settle.jpg"):
        storage.put(key, b"" if key.endswith("/") else b"12345")
    found = list(store.listing(storage.url("set")))
    assert [(entry.name, entry.size) for entry in found] == [("b.jpg", 5), ("c/d.jpg", 5)]
    assert store.head(storage.url("set/b.jpg")) == found[0]
    assert [entry.name for entry in store.listing(storage.url("set"), after="b.jpg")] == ["c/d.jpg"]
    assert not list(store.listing(storage.url("no/such")))


def test_listing_streams(storage: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first entries come before the last page was asked for."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    monkeypatch.setattr(pages, "CHUNK", 10)
    for number in range(95):
        storage.put(f"{number:02d}")
    entries = store.listing(storage.url())
    assert next(entries).name == "00"
    assert storage.layer.requests["GET"] <= 3
    assert [entry.name for entry in entries] == [f"{number:02d}" for number in range(1, 95)]
    assert storage.layer.requests["GET"] == 10


def test_key_without_a_path(storage: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that obstore cannot express is listed by boto3; without it the error names it."""
    keys = ["a.jpg", "b//c.jpg", "d/../e.jpg", "f\x01.jpg", "g.jpg"]
    for key in keys:
        storage.put(f"set/{key}", b"1")
    assert [entry.name for entry in store.listing(storage.url("set"))] == keys
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(StorageError, match="pip install boto3"):
        list(store.listing(storage.url("set")))


def test_ranges(storage: Bucket) -> None:
    """A range past the end is short; one that begins there is an error of the storage."""
    url = storage.put("k", b"0123456789")
    assert store.read(url, 3) == b"3456789"
    assert store.read(url, 3, 4) == b"3456"
    assert store.read(url, 8, 9) == b"89"
    assert store.read(url, 99, 0) == b""
    assert store.read(storage.put("empty")) == b""
    with pytest.raises(StorageError, match="416"):
        store.read(url, 10, 5)


def test_look(storage: Bucket) -> None:
    """The size is known before the bytes are read."""
    seen: list[int] = []
    store.read(storage.put("k", b"0123456789"), 2, 100, look=seen.append)
    assert seen == [8]


def test_missing(storage: Bucket) -> None:
    """A missing key is FileNotFoundError, a missing bucket is not, for every request."""
    with pytest.raises(FileNotFoundError):
        store.read(storage.url("no"))
    assert store.head(storage.url("no")) is None
    store.check(storage.url("no"))
    store.check(storage.url())
    for call in (store.read, store.check, lambda url: list(store.listing(url))):
        with pytest.raises(StorageError, match="no such bucket") as error:
            call("s3://no-such-bucket-here/k")
        assert not error.value.passing


def test_passing_refusals(storage: Bucket) -> None:
    """503, a lost answer and a body cut in its middle are retried."""
    url = storage.put("k", bytes(range(256)) * 4000)
    storage.layer.add("refuse", status=503, times=2)
    storage.layer.add("cut", methods=("GET",), times=1)
    assert store.read(url) == bytes(range(256)) * 4000
    assert storage.layer.requests["GET"] == 4


def test_throttled_for_good(storage: Bucket, impatient: None) -> None:
    """503 after the last retry is a passing error of the storage."""
    url = storage.put("k")
    storage.layer.add("refuse", status=503)
    with pytest.raises(StorageError, match="503") as error:
        store.read(url)
    assert error.value.passing
    assert storage.layer.requests["GET"] == 3
    assert pickle.loads(pickle.dumps(error.value)).passing


def test_denied(storage: Bucket) -> None:
    """403 is told at once, names the variables, and shows no secret."""
    url = storage.put("k")
    storage.layer.add("refuse", status=403)
    with pytest.raises(StorageError, match="denied") as error:
        store.read(url)
    assert "AWS_ACCESS_KEY_ID" in str(error.value)
    assert not error.value.passing
    assert storage.layer.requests["GET"] == 1
    assert "secret-of-the-test" not in str(error.value)


def test_not_there(
    storage: Bucket, impatient: None, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """A storage that cannot be reached is one line, without the library's text."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused_port}")
    with pytest.raises(StorageError, match="cannot be reached") as error:
        store.read(storage.url("k"))
    assert "\n" not in str(error.value)
    assert error.value.passing


@pytest.fixture
def unused_port() -> int:
    """A port that nothing listens on."""
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_put_new(storage: Bucket) -> None:
    """Only the first creates; an answer that was lost looks like another's object."""
    assert store.put_new(storage.url("k"), b"1")
    assert not store.put_new(storage.url("k"), b"2")
    assert storage.get("k") == b"1"
    storage.layer.add("lose", status=503, methods=("PUT",), times=1)
    assert not store.put_new(storage.url("own"), b"3")
    assert storage.get("own") == b"3"
    with pytest.raises(StorageError, match="no such bucket"):
        store.put_new("s3://no-such-bucket-here/k", b"1")


def test_put_and_delete(storage: Bucket) -> None:
    """An object is replaced; deleting what is not there is no error."""
    store.put(storage.url("k"), b"1")
    store.put(storage.url("k"), b"2")
    assert storage.get("k") == b"2"
    store.delete([storage.url("k"), storage.url("no")])
    assert storage.keys() == []


def test_writer(storage: Bucket) -> None:
    """A large object appears at the end of the block, and not at all after an error."""
    data = bytes(range(256)) * (80 << 10)
    with store.writer(storage.url("k")) as file:
        file.write(data)
        assert storage.keys() == []
        file.write(b"end")
    assert storage.get("k") == data + b"end"
    with pytest.raises(KeyError):
        _break_off(storage.url("no"), data)
    assert (storage.keys(), storage.uploads()) == (["k"], [])


def _break_off(url: str, data: bytes) -> None:
    with store.writer(url) as file:
        file.write(data)
        raise KeyError


def test_fetch(storage: Bucket, tmp_path: Path) -> None:
    """A file of several ranges comes as it is; an empty one too; nothing partial stays."""
    data = bytes(range(256)) * (70 << 10)
    told: list[int] = []
    storage.layer.add("cut", methods=("GET",), times=2)
    assert fetch(storage.put("k", data), tmp_path / "f", on_bytes=told.append) == len(data)
    assert (tmp_path / "f").read_bytes() == data
    assert (sum(told), len(told)) == (len(data), 3)
    assert fetch(storage.put("empty"), tmp_path / "e") == 0
    with pytest.raises(FileNotFoundError):
        fetch(storage.url("no"), tmp_path / "n")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["e", "f"]


def test_changed(storage: Bucket, tmp_path: Path) -> None:
    """An object that is replaced while it is fetched is refused."""
    url = storage.put("k", b"1" * (20 << 20))

    def replace(_count: int) -> None:
        storage.put("k", b"2" * (20 << 20))

    with pytest.raises(StorageError, match="changed"):
        fetch(url, tmp_path / "f", on_bytes=replace)
    assert not list(tmp_path.iterdir())


def test_web_server(storage: Bucket) -> None:
    """Web addresses are read with their query, are not listed and not written."""
    storage.put("d/x y.tar", b"0123456789", ACL="public-read")
    url = f"{storage.server.url}/{storage.name}/d/x%20y.tar?sig=SECRET"
    assert store.read(url, 2, 3) == b"234"
    assert store.head(url) is not None
    with pytest.raises(StorageError, match="cannot be listed"):
        list(store.listing(url))
    with pytest.raises(StorageError, match="can be written"):
        store.put(url, b"")
    with pytest.raises(FileNotFoundError) as error:
        store.read(url.replace("x%20y", "no"))
    assert "SECRET" not in str(error.value)


def test_first_bytes_of_an_empty_object(storage: Bucket) -> None:
    """A range from the beginning of an object without bytes is no bytes."""
    assert store.read(storage.put("empty"), 0, 100) == b""
    store.check(storage.url("empty"))
