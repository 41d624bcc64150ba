"""Images of object storage come in order, ahead of the loader, in bounded memory."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from shards.errors import BadImage, Reason, StorageError
from shards.images.reading import read_bytes
from shards.remote import patience
from shards.sample import ImageRef
from vocscore.pipeline import fetch

FIVES = range(0, 40, 5)

if TYPE_CHECKING:
    from s3_server import Bucket


@pytest.fixture
def refs(storage: Bucket) -> list[ImageRef]:
    """Forty objects of 1,000 bytes, each of another byte."""
    return [ImageRef(str(n), storage.put(f"{n:02d}", bytes([n]) * 1000)) for n in range(40)]


def test_order(refs: list[ImageRef]) -> None:
    """Every row has its own bytes, whatever the order in which rows are asked for."""
    with fetch.fetched(refs) as ahead:
        assert all(ahead[row].data == bytes([row]) * 1000 for row in reversed(range(40)))
        assert len(ahead) == 40


def test_each_object_once(storage: Bucket, refs: list[ImageRef]) -> None:
    """One request per image, also where two loaders read it."""
    with fetch.fetched(refs, uses=2) as ahead:
        assert [ref.data for ref in ahead] == [ref.data for ref in ahead]
    assert storage.layer.requests == {"GET": 40}


def test_many_at_once(storage: Bucket, refs: list[ImageRef]) -> None:
    """Forty requests of 0.2 seconds each take far less than eight seconds."""
    storage.layer.latency = 0.2
    started = time.monotonic()
    with fetch.fetched(refs) as ahead:
        assert sum(len(ref.data or b"") for ref in ahead) == 40_000
    assert time.monotonic() - started < 4
    assert storage.layer.at_once > 20


def test_bounded(refs: list[ImageRef], monkeypatch: pytest.MonkeyPatch) -> None:
    """No more bytes than the limit are in memory until a loader asks for a row behind them."""
    monkeypatch.setattr(fetch, "MOST_BYTES", 5000)
    with fetch.fetched(refs) as ahead:
        assert isinstance(ahead, fetch.FetchedRefs)
        time.sleep(0.3)
        assert ahead._held == 5000
        assert ahead[39].data == bytes([39]) * 1000  # not among the first five
        assert [ahead[row].data for row in range(39)] == [bytes([n]) * 1000 for n in range(39)]


def test_one_row_exceeds_the_limit(refs: list[ImageRef], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if eight threads wait for rows that do not fit."""
    monkeypatch.setattr(fetch, "MOST_BYTES", 1500)
    held: list[int] = []
    admit = fetch.FetchedRefs._admit

    def counted(self: fetch.FetchedRefs, row: int, size: int) -> None:
        admit(self, row, size)
        held.append(self._held)
        time.sleep(0.005)  # admitted, not taken

    monkeypatch.setattr(fetch.FetchedRefs, "_admit", counted)
    with fetch.fetched(refs) as ahead, ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda first: [ahead[row].data for row in range(first, first + 5)], FIVES)
        assert [data for taken in found for data in taken] == [bytes([n]) * 1000 for n in range(40)]
    assert max(held) == 2000


def test_what_is_here_stays(storage: Bucket) -> None:
    """Local images, those in memory and faulty ones pass as they are; nothing is requested."""
    local = [ImageRef("a", "/no/such/a"), ImageRef("b", "s3://b/k", data=b"1")]
    with fetch.fetched(local) as same:
        assert same is local


def test_missing(storage: Bucket, refs: list[ImageRef]) -> None:
    """A missing key is left to the loader, for which it has vanished."""
    with fetch.fetched([*refs[:2], ImageRef("no", storage.url("no"))]) as ahead:
        with pytest.raises(BadImage) as bad:
            read_bytes(ahead[2], max_pixels=10)
        assert ahead[1].data == bytes([1]) * 1000
    assert bad.value.fault.reason is Reason.VANISHED


def test_large(storage: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A very large object is left to the loader, which refuses it by its size."""
    monkeypatch.setattr(fetch, "LARGEST", 1000)
    with fetch.fetched([ImageRef("x", storage.put("x", b"1" * 2000))]) as ahead:
        assert ahead[0].data is None


def test_denied(storage: Bucket, refs: list[ImageRef]) -> None:
    """What is denied is an error of the storage, not of the image, and not asked for again."""
    storage.layer.add("refuse", status=403, keys="/07$")
    with fetch.fetched(refs) as ahead, pytest.raises(StorageError, match="denied"):
        list(ahead)
    assert [line for line in storage.layer.log if line.endswith("/07")] == [
        f"GET /{storage.name}/07"
    ]


def test_asked_again(
    storage: Bucket, refs: list[ImageRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the library gave up, a request is made again later."""
    monkeypatch.setattr(patience, "PAUSES", (0.0,))
    storage.layer.add("refuse", status=503, keys="/07$", times=8)
    monkeypatch.setattr("shards.remote.opening.RETRY", {"max_retries": 0})
    with fetch.fetched(refs[:8]) as ahead, pytest.raises(StorageError, match="503"):
        list(ahead)
    storage.layer.reset()
    storage.layer.add("refuse", status=503, keys="/07$", times=1)
    with fetch.fetched(refs[:8]) as ahead:
        assert ahead[7].data == bytes([7]) * 1000
