"""What a loader leaves behind: no thread, and a note of what could not be decoded."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from loader_sets import damaged, decoding_threads, opened, shuffled, taken

from vocscore.errors import LoaderError
from vocscore.pipeline.thread_pool import OrderedThreadPool

if TYPE_CHECKING:
    from pathlib import Path


def test_threads_end_with_the_loop(packed: Path) -> None:
    """At its end, at a break, at an exception, when it is dropped, at close: no thread is left."""
    loading = shuffled(packed)
    before = decoding_threads()
    for _ in loading:
        assert decoding_threads() == before + 2
    assert decoding_threads() == before
    for _ in loading:
        break
    assert decoding_threads() == before
    with suppress(ZeroDivisionError):
        for batch in loading:
            len(batch.rows) / 0
    assert decoding_threads() == before
    held = iter(loading)
    next(held)
    del held
    assert decoding_threads() == before
    held = iter(loading)
    next(held)
    loading.close()
    assert decoding_threads() == before
    with loading:
        held = iter(loading)
        next(held)
    assert decoding_threads() == before


def test_threads_end_with_a_loader_in_a_cycle_of_references(packed: Path) -> None:
    """Garbage collection is enough, in whichever thread it runs."""
    before = decoding_threads()
    cycle: list[Any] = [iter(shuffled(packed))]
    cycle.append(cycle)
    next(cycle[0])
    assert decoding_threads() == before + 2
    del cycle
    gc.collect()
    assert decoding_threads() == before


def test_a_pool_can_be_closed_by_one_of_its_threads() -> None:
    """It cannot wait for its own end, and does not try to."""
    crew = OrderedThreadPool(2)
    jobs = crew.ahead([range(1)], work=lambda _job, _position: crew.close())
    assert list(jobs) == [(range(1), [None])]


def test_dali_is_kept_between_epochs_and_ends_with_the_loader(packed: Path) -> None:
    """Its graph takes long to build; `close` and garbage collection end its threads."""
    pytest.importorskip("nvidia.dali")
    before = decoding_threads()
    loading = shuffled(packed, loader="dali")
    first = taken(loading)
    kept = loading._dali
    loading.set_epoch(1)
    assert taken(loading) == first
    assert loading._dali is kept
    loading.close()
    assert decoding_threads() == before
    next(iter(loading))
    del loading, kept
    gc.collect()
    assert decoding_threads() == before


def test_an_image_that_cannot_be_decoded_raises(packed: Path, tmp_path: Path) -> None:
    """With its path, the reason and the way round it; the threads end."""
    broken = damaged(packed, tmp_path / "shards", rows=(11,))
    before = decoding_threads()
    loading = opened(broken, split="train")
    batches = iter(loading)
    assert next(batches).rows.tolist() == list(range(8))
    with pytest.raises(LoaderError) as raised:
        next(batches)
    assert loading.paths[11] in str(raised.value)
    assert "corrupt" in str(raised.value)
    assert "on_error='skip'" in str(raised.value)
    assert decoding_threads() == before
    assert loading.state_dict()["batches_done"] == 1


def test_images_that_cannot_be_decoded_are_skipped_and_noted(packed: Path, tmp_path: Path) -> None:
    """The rest of the batch comes with its own labels; a batch with nothing in it does not come."""
    bad = (8, 10, 11)
    broken = damaged(packed, tmp_path / "shards", rows=bad)
    loading = opened(broken, split="train", on_error="skip", batch_size=2)
    for _ in range(2):  # each is noted once, however often it is met
        seen = []
        for batch in loading:
            assert batch.labels is not None
            assert loading.labels is not None
            assert (batch.labels == loading.labels[batch.rows]).all()
            assert len(batch.rows) > 0
            seen += batch.rows.tolist()
        assert seen == [row for row in range(30) if row not in bad]
    assert [one.row for one in loading.skipped] == list(bad)
    assert {one.reason for one in loading.skipped} == {"corrupt"}
    assert [one.path for one in loading.skipped] == [loading.paths[row] for row in bad]
    assert all(one.detail for one in loading.skipped)
