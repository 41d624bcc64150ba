"""Every row exactly once, whatever the numbers, the failures and the moment one stops."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import kinds
import numpy as np
import pytest
import torch
from PIL import Image
from workshop import make, rows_in_order, write

from shards.images import image_file, jpeg
from shards.sample import ImageRef
from vocscore.pipeline.dali_decoder import Decoder
from vocscore.pipeline.preprocess import Preprocess
from vocscore.pipeline.thread_pool import OrderedThreadPool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from vocscore.pipeline.batch import Batch, ImageLoader

LOADERS = ("reference", "host", "dali")
SIZE = 20  # no smaller, or the broken image is reduced on the host and never meets the graph
COUNT = 24
HALF = kinds.bad()["half a JPEG"][0]


def _flat(row: int) -> bytes:
    """An image whose color says its row; every third one takes DALI's other way."""
    image = Image.new("RGB", (9, 7), (row * 10, 250 - row * 10, 128))
    return kinds.encoded(image, "PNG" if row % 3 == 2 else "JPEG", quality=95)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRef]:
    """Images that can be told apart."""
    folder = tmp_path_factory.mktemp("rows")
    return write(folder, {f"{row}": _flat(row) for row in range(COUNT)})


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> ImageRef:
    """One image that no loader decodes."""
    return write(tmp_path_factory.mktemp("broken"), {"broken": HALF})[0]


def _check(batches: Sequence[Batch], *, order: Sequence[int], bad: set[int], size: int) -> None:
    """Every row of `order` once, in its batch, with its own pixels and its own labels."""
    chunks = [list(order[at : at + size]) for at in range(0, len(order), size)]
    assert [sorted(rows_in_order([batch])) for batch in batches] == [sorted(c) for c in chunks]
    for batch, chunk in zip(batches, chunks, strict=True):
        assert batch.rows.tolist() == [row for row in chunk if row not in bad]
        assert [failure.row for failure in batch.failures] == [row for row in chunk if row in bad]
        assert batch.labels is not None
        assert batch.labels[:, 0].tolist() == batch.rows.tolist()
        red = batch.images[:, 0].float().mean(dim=(1, 2))
        np.testing.assert_allclose(red, batch.rows * 10.0, atol=4)


def _run(
    loader: ImageLoader, refs: Sequence[ImageRef], *, order: Sequence[int] | None = None
) -> list[Batch]:
    labels = np.arange(len(refs), dtype=np.int8)[:, None].repeat(2, axis=1)
    return list(loader.batches(refs, labels=labels, order=order))


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("batch_size", [1, 3, 8, COUNT, 100])
def test_counts_batches_and_ranks(
    images: list[ImageRef], broken: ImageRef, loader: str, batch_size: int
) -> None:
    """Any number of images, any batch size, any share of the rows, any place of a bad one."""
    with make(loader, Preprocess(size=SIZE), batch_size=batch_size) as opened:
        for count in (0, 1, 2, 8, 9, COUNT):
            for bad in (set[int](), {0}, {count - 1}, {0, 1, 2}, set(range(count))):
                refs = [broken if row in bad else images[row] for row in range(count)]
                for ranks in (1, 2, 5) if bad == {0} else (1,):
                    for rank in range(ranks):
                        order = range(rank, count, ranks)
                        batches = _run(opened, refs, order=order)
                        _check(batches, order=order, bad=bad, size=batch_size)


@pytest.mark.parametrize("loader", LOADERS)
def test_shuffled_rows_keep_their_order(images: list[ImageRef], loader: str) -> None:
    """Rows come in the order that was asked for, not in that of the list."""
    order = np.random.default_rng(5).permutation(COUNT)[:17].tolist()
    with make(loader, Preprocess(size=SIZE), batch_size=4) as opened:
        batches = _run(opened, images, order=order)
        _check(batches, order=order, bad=set(), size=4)
        whole = list(opened.batches(images))
    assert np.concatenate([b.rows for b in batches]).tolist() == order
    assert np.concatenate([b.rows for b in whole]).tolist() == list(range(COUNT))
    assert all(b.labels is None for b in whole)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("order", [[0, 0], [-1], [COUNT]], ids=str)
def test_an_order_that_is_none_is_refused(
    images: list[ImageRef], loader: str, order: list[int]
) -> None:
    """A row twice, or one that is not there, is an error before anything is decoded."""
    with make(loader, Preprocess(size=SIZE)) as opened, pytest.raises(ValueError, match="order"):
        opened.batches(images, order=order)


def test_labels_of_another_length_are_refused(images: list[ImageRef]) -> None:
    """Labels that do not fit the images can never stand beside them."""
    labels = np.zeros((COUNT - 1, 2), np.int8)
    with make("host", Preprocess(size=SIZE)) as opened, pytest.raises(ValueError, match="labels"):
        opened.batches(images, labels=labels)


@pytest.mark.parametrize("loader", LOADERS)
def test_stretches_of_one_file(tmp_path: Path, loader: str) -> None:
    """Images that lie in one file, as in a shard, are told apart by offset and size."""
    parts = [_flat(row) for row in range(7)]
    file = tmp_path / "some.tar"
    file.write_bytes(b"".join(parts))
    ends = np.cumsum([len(part) for part in parts]).tolist()
    refs = [
        ImageRef(str(row), str(file), end - len(part), len(part))
        for row, (part, end) in enumerate(zip(parts, ends, strict=True))
    ]
    with make(loader, Preprocess(size=SIZE), batch_size=3) as opened:
        _check(_run(opened, refs), order=range(7), bad=set(), size=3)


# DALI's failures. The check in front of the graph is taken away, so that a bad image kills it.


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let damaged JPEGs into the graph."""
    monkeypatch.setattr(jpeg, "check", lambda data: None)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("bad", [{0}, {23}, {4}, {3, 4}, {0, 1, 3, 4, 6, 7}, "all"], ids=str)
def test_rows_survive_the_graph(
    images: list[ImageRef],
    broken: ImageRef,
    caplog: pytest.LogCaptureFixture,
    batch_size: int,
    bad: set[int] | str,
) -> None:
    """An image that ends DALI's graph costs its own row alone, and later runs nothing."""
    rows = set(range(COUNT)) if isinstance(bad, str) else bad
    refs = [broken if row in rows else images[row] for row in range(COUNT)]
    with make("dali", Preprocess(size=SIZE), batch_size=batch_size) as opened:
        _check(_run(opened, refs), order=range(COUNT), bad=rows, size=batch_size)
        assert "DALI could not decode a batch" in caplog.text
        caplog.clear()
        _check(_run(opened, images), order=range(COUNT), bad=set(), size=batch_size)
        assert not caplog.text


def test_a_good_set_never_leaves_the_graph(
    images: list[ImageRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """JPEGs are decoded by DALI and not, unnoticed, by the tolerant way."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("decoded on the host")

    monkeypatch.setattr(image_file, "decode", refuse)
    refs = [ref for row, ref in enumerate(images) if row % 3 != 2]
    with make("dali", Preprocess(size=SIZE)) as opened:
        assert sum(len(batch.rows) for batch in opened.batches(refs)) == len(refs)


class _FakeGraph:
    """Stands in for DALI's: fails when fed or asked, and is then dead for good."""

    def __init__(self, fails_at: str) -> None:
        self._fails_at = fails_at
        self._fed: deque[list[np.ndarray[Any, Any]]] = deque()
        self._dead = False

    def feed_input(self, name: str, data: list[np.ndarray[Any, Any]]) -> None:
        self._die_if(self._fails_at == "feeding" and any(one[0] == 0 for one in data))
        self._fed.append(data)

    def schedule_run(self) -> None:
        self._die_if(False)

    def outputs(self, cuda_stream: object = None) -> tuple[Any, ...]:
        data = self._fed.popleft()
        self._die_if(any(one[0] == 0 for one in data))
        return (_FakeTensors(torch.stack([torch.from_numpy(one.copy()) for one in data])),)

    def _die_if(self, now: bool) -> None:
        self._dead = self._dead or now
        if self._dead:
            raise RuntimeError("Current pipeline object is no longer valid.")


class _FakeTensors:
    def __init__(self, values: torch.Tensor) -> None:
        self._values = values

    def as_tensor(self) -> torch.Tensor:
        return self._values.view(-1, 1, 1, 1)


@pytest.mark.parametrize("fails_at", ["feeding", "asking"])
@pytest.mark.parametrize("in_flight", [1, 2, 4])
def test_batches_in_flight_survive_a_dead_graph(fails_at: str, in_flight: int) -> None:
    """What was behind the failing batch is fed to a new graph: nothing lost, nothing twice."""
    decoder = Decoder(lambda: _FakeGraph(fails_at), device=torch.device("cpu"))
    values = [[1], [2, 3], [], [4], [0, 5], [6], [7, 0], [], [8], [9]]
    got: list[list[int] | None] = []
    waiting = 0
    for batch in values:
        decoder.submit([bytes([value]) for value in batch])
        waiting += 1
        if waiting == in_flight:
            out = decoder.collect()
            got.append(None if out is None else out.flatten().tolist())
            waiting -= 1
    for _ in range(waiting):
        out = decoder.collect()
        got.append(None if out is None else out.flatten().tolist())
    assert len(got) == len(values)
    for out_values, batch in zip(got, values, strict=True):
        assert out_values is None or out_values == batch
        if 0 in batch:
            assert out_values is None
    # A failure at feeding may cost the batches before it the graph; at asking, it costs one.
    lost = [b for o, b in zip(got, values, strict=True) if o is None and b and 0 not in b]
    assert len(lost) <= (0 if fails_at == "asking" else 2 * (in_flight - 1))


# Threads.


@pytest.mark.parametrize("loader", ["host", "dali"])
def test_stopping_early_leaves_nothing_behind(images: list[ImageRef], loader: str) -> None:
    """A consumer that stops after one batch does not hang, and closing ends every thread."""
    before = set(threading.enumerate())
    with make(loader, Preprocess(size=SIZE), batch_size=2) as opened:
        for _ in range(3):
            batches = opened.batches(images)
            next(batches)
            batches.close()  # type: ignore[attr-defined]
        _check(
            _run(opened, images), order=range(COUNT), bad=set(), size=2
        )  # and it can still be used
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("loader", ["host", "dali"])
def test_two_runs_at_once(images: list[ImageRef], loader: str) -> None:
    """Two runs of one loader, taken in turns, do not mix."""
    with make(loader, Preprocess(size=SIZE), batch_size=5) as opened:
        labels = np.arange(COUNT, dtype=np.int8)[:, None]
        runs = zip(
            opened.batches(images, labels=labels),
            opened.batches(images, labels=labels),
            strict=True,
        )
        for run in zip(*runs, strict=True):
            _check(run, order=range(COUNT), bad=set(), size=5)


@pytest.mark.parametrize("loader", LOADERS)
def test_an_unforeseen_failure_names_the_image(
    images: list[ImageRef], monkeypatch: pytest.MonkeyPatch, loader: str
) -> None:
    """What is not a bad image reaches the consumer, with the name of the image it met."""

    def stumble(ref: ImageRef, *, max_pixels: int) -> Any:
        if ref.name == "13":
            raise ZeroDivisionError("stumbled")
        return read(ref, max_pixels=max_pixels)

    read = image_file.read_content
    monkeypatch.setattr(image_file, "read_content", stumble)
    with (
        make(loader, Preprocess(size=SIZE), batch_size=4) as opened,
        pytest.raises(RuntimeError, match=r"^13: ZeroDivisionError: stumbled$"),
    ):
        list(opened.batches(images))


def test_decoding_threads_leave_torch_alone() -> None:
    """A decoding thread computes with one core; everyone else's number stays what it was."""
    own = torch.get_num_threads()
    torch.set_num_threads(3)
    later: list[int] = []
    try:
        crew = OrderedThreadPool(2)
        (_, inside), *_ = crew.ahead([range(64)], work=lambda _, __: _threads_after_work())
        outside = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        outside.start()
        outside.join()
        crew.close()
        assert set(inside) == {1}
        assert later == [3]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(own)


def _threads_after_work() -> int:
    torch.ones(100).add_(1)
    return torch.get_num_threads()


def test_work_ahead_is_bounded() -> None:
    """However slow the consumer is, only a few batches are made before it asks for them."""
    taken = 0

    def jobs() -> Iterator[range]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield range(2)

    crew = OrderedThreadPool(2)
    results = crew.ahead(jobs(), work=lambda _, position: position)
    for consumed in range(1, 6):
        assert next(results)[1] == [0, 1]
        time.sleep(0.01)
        assert consumed < taken <= consumed + 4
    results.close()
    crew.close()


@pytest.mark.parametrize(
    ("threads", "length", "begun"), [(2, 64, 3), (8, 64, 3), (16, 64, 4), (16, 8, 32), (8, 9, 8)]
)
def test_every_thread_has_two_tasks(threads: int, length: int, begun: int) -> None:
    """Three batches are begun at once, or as many as have two tasks of 8 images per thread."""
    taken: list[range] = []

    def jobs() -> Iterator[range]:
        for _ in range(100):
            taken.append(range(length))
            yield taken[-1]

    crew = OrderedThreadPool(threads)
    crew.ahead(jobs(), work=lambda _, position: position)
    assert len(taken) == begun
    crew.close()


def test_stopping_early_drops_the_work() -> None:
    """What no thread has begun when the consumer stops is not done."""
    begun: list[int] = []

    def work(job: range, position: int) -> None:
        begun.append(position)
        time.sleep(0.002)

    crew = OrderedThreadPool(1)
    results = crew.ahead([range(8), range(800), range(800)], work=work)
    next(results)
    results.close()
    # what the one thread does next, after whatever is still there to be done
    assert [values for _, values in crew.ahead([range(1)], work=lambda *_: "next")] == [["next"]]
    assert len(begun) <= 24
    crew.close()


def test_results_keep_their_order() -> None:
    """A slow image does not fall behind the quick ones after it."""

    def work(job: range, position: int) -> int:
        time.sleep(0.02 if position == 0 else 0)
        return job[position]

    crew = OrderedThreadPool(4)
    jobs = [range(start, start + 20) for start in range(0, 100, 20)]
    results = [value for _, values in crew.ahead(jobs, work=work) for value in values]
    crew.close()
    assert results == list(range(100))


@pytest.mark.parametrize("loader", LOADERS)
def test_batches_outlive_their_loader(images: list[ImageRef], loader: str) -> None:
    """Pixels that the consumer keeps are not overwritten by later batches, nor freed at the end."""
    with make(loader, Preprocess(size=SIZE), batch_size=5) as opened:
        labels = np.arange(COUNT, dtype=np.int8)[:, None]
        kept = list(opened.batches(images, labels=labels))
        list(opened.batches(images[::-1]))
    del opened
    _check(kept, order=range(COUNT), bad=set(), size=5)
