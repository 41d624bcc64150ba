from __future__ import annotations

import numpy as np
import pytest
import torch

from shards.errors import Fault, Reason
from vocscore.pipeline.batch import Batch, Failure
from vocscore.runtime import Runtime
from vocscore.scoring import ceilings
from vocscore.scoring.engines.batching import FixedBatcher

IMAGES = 37


class PlacedRuntime(Runtime):
    """Answers with an image's value, its place in the batch and the size of the batch.

    It looks at the images when the results are fetched, and says how many wait for that.
    """

    def __init__(self):
        self.shapes = []
        self.waiting = 0
        self.most_waiting = 0

    def submit(self, images):
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        return lambda: self.answer(images)

    def answer(self, images):
        self.waiting -= 1
        assert images.is_contiguous(memory_format=torch.channels_last)
        self.shapes.append(tuple(images.shape))
        values = images[:, 0, 0, 0].numpy().astype(np.float32)
        places = np.arange(len(images), dtype=np.float32)
        return np.stack([values, places, np.full_like(places, len(images))], axis=1)


def batches(size, *, failed=(), order=None):
    """Image r is filled with the value r + 1."""
    order = np.arange(IMAGES) if order is None else order
    for start in range(0, IMAGES, size):
        rows = order[start : start + size]
        good = np.array([row for row in rows if row not in failed], np.int64)
        images = torch.zeros((len(good), 3, 2, 2), dtype=torch.uint8)
        images += torch.from_numpy(good + 1).to(torch.uint8).view(-1, 1, 1, 1)
        failures = tuple(Failure(int(r), Fault(Reason.CORRUPT, "")) for r in rows if r in failed)
        yield Batch(images.contiguous(memory_format=torch.channels_last), good, None, failures)


def results(batcher, made):
    found, pending = {}, []
    for batch in made:
        pending.extend(batcher.feed(batch))
    pending.extend(batcher.flush())
    for one in pending:
        found.update(zip(one.rows.tolist(), one.fetch().tolist(), strict=True))
    return found


@pytest.mark.parametrize("size", [1, 3, 8, 16, 20, 64])
def test_the_network_sees_one_shape_and_each_image_on_its_place(size):
    """Whatever the batch size: batches of 8, row r on place r % 8, its own image."""
    runtime = PlacedRuntime()
    found = results(FixedBatcher(runtime, group=8), batches(size))
    assert found == {row: [row + 1, row % 8, 8] for row in range(IMAGES)}
    assert runtime.shapes == [(8, 3, 2, 2)] * 5


@pytest.mark.parametrize("size", [3, 8, 64])
def test_failed_neighbors_do_not_move_an_image(size):
    """Failures leave their places blank; a group of failures only is not run."""
    failed = {0, 9, 10, *range(16, 24), 36}
    runtime = PlacedRuntime()
    found = results(FixedBatcher(runtime, group=8), batches(size, failed=failed))
    assert found == {row: [row + 1, row % 8, 8] for row in range(IMAGES) if row not in failed}
    assert len(runtime.shapes) == 4  # of 5 groups


def test_rows_may_come_in_any_order():
    """A loader may hand rows over as it likes."""
    order = np.random.default_rng(0).permutation(IMAGES)
    found = results(FixedBatcher(PlacedRuntime(), group=8), batches(5, order=order))
    assert found == {row: [row + 1, row % 8, 8] for row in range(IMAGES)}


def test_a_whole_group_is_handed_on_without_a_copy():
    """A batch that is whole groups costs no copy."""
    seen = []

    class Runtime(PlacedRuntime):
        def submit(self, images):
            seen.append(images.data_ptr())
            return super().submit(images)

    (first, *_) = made = list(batches(16))
    results(FixedBatcher(Runtime(), group=8), made)
    assert seen[0] == first.images.data_ptr()
    assert seen[1] == first.images[8:].data_ptr()


def test_a_group_is_set_going_as_soon_as_it_is_whole():
    """Nothing is held back longer than its group needs."""
    batcher = FixedBatcher(PlacedRuntime(), group=8)
    counts = [sum(len(one.rows) for one in batcher.feed(batch)) for batch in batches(6)]
    assert counts == [0, 8, 8, 8, 0, 8, 0]


def test_two_groups_are_in_flight_and_no_more():
    """A third is submitted when the first has been fetched; fetching it again costs nothing."""
    runtime = PlacedRuntime()
    batcher = FixedBatcher(runtime, group=8)
    pending = [one for batch in batches(8) for one in batcher.feed(batch)]
    assert runtime.most_waiting == runtime.in_flight
    assert [one.fetched for one in pending] == [True, True, False, False]
    first = pending[0].fetch()
    assert first is pending[0].fetch()
    assert runtime.waiting == runtime.in_flight


def test_the_ceiling_keeps_the_network_busy(monkeypatch):
    """Measured alone, the network has two groups in flight, and nothing is left there."""
    monkeypatch.setattr(ceilings, "SECONDS_PER_STAGE", 0.01)
    runtime = PlacedRuntime()
    images = torch.zeros((20, 3, 2, 2), dtype=torch.uint8)
    images = images.contiguous(memory_format=torch.channels_last)
    assert FixedBatcher(runtime, group=8).ceiling(images) > 0
    assert runtime.most_waiting == runtime.in_flight
    assert runtime.waiting == 0
    assert set(runtime.shapes) == {(8, 3, 2, 2)}


def test_the_ceiling_is_that_of_whole_groups(monkeypatch):
    """Few images are repeated to a whole group: blanks would take as long and count for nothing."""
    monkeypatch.setattr(ceilings, "SECONDS_PER_STAGE", 0.01)
    rates = []
    for number in (1, 3, 8):
        runtime = PlacedRuntime()
        images = torch.zeros((number, 3, 2, 2), dtype=torch.uint8)
        images = images.contiguous(memory_format=torch.channels_last)
        monkeypatch.setattr(
            "vocscore.scoring.engines.inference.images_per_second",
            lambda work: rates.append(work()),
        )
        FixedBatcher(runtime, group=8).ceiling(images)
        assert set(runtime.shapes) == {(8, 3, 2, 2)}
    assert len(set(rates)) == 1
    assert rates[0] % 8 == 0


class OnGpu(Runtime):
    """Answers with an image's value, queued on the GPU."""

    in_flight = 1000

    def submit(self, images):
        found = images[:, 0, 0, 0].float()
        return lambda: found.cpu().numpy()[:, None]


@pytest.mark.gpu
@pytest.mark.parametrize("failed", [(), (3, 9, 36)])
def test_on_a_gpu_images_are_placed_without_waiting(failed):
    """Whole groups, parts of groups and holes: with synchronization forbidden, none waits."""
    batcher = FixedBatcher(OnGpu(), group=8)
    made = [
        Batch(batch.images.cuda(), batch.rows, None, batch.failures)
        for batch in batches(5, failed=failed)
    ]
    torch.cuda.set_sync_debug_mode("error")
    try:
        pending = [one for batch in made for one in batcher.feed(batch)]
        pending += list(batcher.flush())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    found = {
        row: int(p) for one in pending for row, (p,) in zip(one.rows, one.fetch(), strict=True)
    }
    assert found == {row: row + 1 for row in range(IMAGES) if row not in failed}
