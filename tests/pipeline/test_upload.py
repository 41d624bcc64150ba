"""Batches on their way to a GPU: what the network reads is the batch, in whatever order it works.

On a simulated GPU, as there is none; `test_gpu.py` has the tests of a real one.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import kinds
import numpy as np
import pytest
import torch
from gpu_double import Gpu, InMemory, OnGpu, Stream, blocks_of
from raw_sets import GOOD, pack_raw, written
from workshop import by_row, make, write

from shards.reader import load_split
from shards.sample import ImageRef
from vocscore.errors import DeviceError
from vocscore.pipeline import batching, dali, upload
from vocscore.pipeline.batch import Batch
from vocscore.pipeline.host import HostLoader
from vocscore.pipeline.loaders import open_loader
from vocscore.pipeline.preprocess import Preprocess
from vocscore.pipeline.upload import Uploader

if TYPE_CHECKING:
    from pathlib import Path

GPU = torch.device("cuda:0")
BATCHES, SEEDS = 12, 60
SQUARED = Preprocess(size=64)
IN_MEMORY = ImageRef("pixels", "", pixels=np.zeros((8, 8, 3), np.uint8))


def read_by_the_network(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Copy numbered batches, a few ahead of the GPU; return what the network has read of each."""
    monkeypatch.setattr(upload.torch, "cuda", gpu)
    copy, results = Uploader(GPU), list[int]()
    for number in range(BATCHES):
        images: Any = InMemory(gpu, number, pinned=number % 3 != 0)
        there: Any = copy(images)
        gpu.network(there, results)
        there.free()
        gpu.work(int(gpu.random.integers(6)))
    gpu.work()
    return results


def test_the_network_reads_every_batch_whatever_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In every order that the streams permit; and memory is used again, not only allocated."""
    least = BATCHES
    for seed in range(SEEDS):
        gpu = Gpu(seed)
        assert read_by_the_network(gpu, monkeypatch) == list(range(BATCHES))
        least = min(least, blocks_of(gpu))
    assert least < BATCHES


@pytest.mark.parametrize("left_out", [(Stream, "wait_stream"), (OnGpu, "record_stream")])
def test_the_simulation_notices_what_is_left_out(
    monkeypatch: pytest.MonkeyPatch, left_out: tuple[type, str]
) -> None:
    """Without waiting, or without telling torch who uses the memory, some order is wrong."""
    monkeypatch.setattr(*left_out, lambda _self, _other: None)
    found = [read_by_the_network(Gpu(seed), monkeypatch) for seed in range(SEEDS)]
    assert any(results != list(range(BATCHES)) for results in found)


def test_copies_do_not_queue_behind_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy has a stream of its own: it is done while earlier batches wait for the network."""
    gpu = Gpu(0)
    monkeypatch.setattr(upload.torch, "cuda", gpu)
    images: Any = InMemory(gpu, 1, pinned=True)
    gpu.main.add(lambda: None)  # the network, busy
    there: Any = Uploader(GPU)(images)
    (copying,) = [stream for stream in gpu.streams if stream is not gpu.main]
    _, work = copying.queue.popleft()
    work()
    assert there.block.value == 1
    assert gpu.main.queue


def test_on_the_cpu_a_batch_is_not_copied() -> None:
    """It is returned as it is."""
    images = batching.empty_images(2, 8)
    assert Uploader(torch.device("cpu"))(images) is images


# The loaders.


def test_raw_and_host_images_need_no_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No graph is built for raw shards, for formats of the host, or for large photographs."""

    def refuse(**_: object) -> None:
        raise RuntimeError("a graph was built")

    monkeypatch.setattr(dali, "_graph", refuse)
    packed = pack_raw(written(tmp_path / "in"), tmp_path / "raw", SQUARED)
    raw = load_split(packed, "train").images
    others = write(
        tmp_path / "others",
        {
            "png": kinds.good()["png"],
            "progressive": kinds.good()["jpeg progressive"],
            "large": kinds.encoded(kinds.photo(1000, 750), "JPEG"),
        },
    )
    jpegs = write(tmp_path / "jpegs", {"jpeg": kinds.good()["jpeg"]})
    with make("dali", SQUARED) as loader:
        assert len(by_row(loader.batches(raw))) == GOOD
        assert len(by_row(loader.batches(others))) == len(others)
        with pytest.raises(DeviceError, match=r"DALI cannot start on cpu \(a graph was built"):
            list(loader.batches(jpegs))


class _Marked(Uploader):
    """Instead of copying a batch, adds 1 to its pixels, modulo 256."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.copies = 0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.copies += 1
        return images + 1


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> list[_Marked]:
    made: list[_Marked] = []

    def marks(device: torch.device) -> _Marked:
        made.append(_Marked(device))
        return made[-1]

    monkeypatch.setattr(dali, "Uploader", marks)
    return made


def test_every_batch_of_raw_images_is_copied_once(tmp_path: Path, marked: list[_Marked]) -> None:
    """As a whole, with its rows and labels, in the layout that the network takes."""
    packed = pack_raw(written(tmp_path / "in"), tmp_path / "raw", SQUARED)
    split = load_split(packed, "train")
    with make("host", SQUARED, batch_size=4) as loader:
        expected = list(loader.batches(split.images, labels=split.labels))
    with make("dali", SQUARED, batch_size=4) as loader:
        found = list(loader.batches(split.images, labels=split.labels))
    assert marked[0].copies == len(expected) == len(found)
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, Batch)
        assert one.images.equal(other.images + 1)
        assert one.images.is_contiguous(memory_format=torch.channels_last)
        assert one.rows.tolist() == other.rows.tolist()
        assert one.labels is not None
        assert other.labels is not None
        assert one.labels.tolist() == other.labels.tolist()


def test_host_images_of_a_batch_are_copied_at_once(tmp_path: Path, marked: list[_Marked]) -> None:
    """One copy for a batch, not one for an image; each comes to its own row, bad ones to none."""
    good = kinds.good()
    names = ["jpeg", "png", "webp", "jpeg gray", "bmp", "jpeg progressive", "png gray", "png alpha"]
    files = {name: good[name] for name in names} | {"bad": b"no image"}
    refs = write(tmp_path, files)
    with make("host", SQUARED) as loader:
        expected = by_row(loader.batches(refs))
    with make("dali", SQUARED, batch_size=3) as loader:
        found = by_row(loader.batches(refs))
    assert marked[0].copies == 3
    assert sorted(found) == list(range(len(names)))
    for row, name in enumerate(names):
        if name not in ("jpeg", "jpeg gray"):  # those of the graph
            assert (found[row] == expected[row] + 1).all()


@pytest.mark.parametrize("name", ["host", "auto"])
def test_the_hosts_batches_for_a_gpu_are_in_page_locked_memory(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also where DALI is missing; not for a network on the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    asked: list[bool] = []
    real = batching.empty_images

    def empty(*args: Any, pinned: bool = False, **options: Any) -> torch.Tensor:
        asked.append(pinned)
        return real(*args, **options)

    monkeypatch.setattr(batching, "empty_images", empty)
    if name == "auto":
        monkeypatch.setitem(sys.modules, "nvidia.dali", None)
        monkeypatch.setattr("warnings.warn", lambda *_, **__: None)
    for device, pinned in (("cuda:0", True), ("cpu", False)):
        asked.clear()
        options = {"batch_size": 1, "threads": 1, "max_pixels": 10**6}
        with open_loader(name, SQUARED, device=device, **options) as loader:  # type: ignore[arg-type]
            assert isinstance(loader, HostLoader)
            list(loader.batches([IN_MEMORY]))
        assert asked == [pinned]
