"""The order of batches: epochs, ranks, and states from which a loop goes on."""

from __future__ import annotations

import gc
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from loader_sets import (
    AUGMENTATION,
    decoding_threads,
    opened,
    pixels_by_row,
    rows_of,
    shuffled,
    taken,
)

from vocscore.errors import LoaderError

if TYPE_CHECKING:
    from pathlib import Path


def test_epochs_follow_each_other_and_can_be_chosen(packed: Path) -> None:
    """Each has an order of its own, which is that of training with this seed and epoch."""
    loading = shuffled(packed)
    for epoch in (1, 2):
        assert loading.epoch == epoch
        order = np.random.default_rng((5, epoch)).permutation(30).tolist()
        assert rows_of(loading) == order
    loading.set_epoch(1)
    assert rows_of(loading) == np.random.default_rng((5, 1)).permutation(30).tolist()


def test_an_epoch_that_was_broken_off_counts(packed: Path) -> None:
    """The next loop is the next epoch, from its beginning."""
    loading = shuffled(packed)
    next(iter(loading))
    assert rows_of(loading) == np.random.default_rng((5, 2)).permutation(30).tolist()


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_ranks_share_the_rows(packed: Path, world_size: int) -> None:
    """Each row is on one rank, and augmented as it would be on a single one."""
    alone = pixels_by_row(shuffled(packed, augmentation=AUGMENTATION))
    found: dict[int, np.ndarray] = {}
    for rank in range(world_size):
        loading = shuffled(
            packed, rank=rank, world_size=world_size, augmentation=AUGMENTATION, batch_size=4
        )
        batches = list(loading)
        assert len(batches) == len(loading)
        own = pixels_by_row(batches)
        assert not own.keys() & found.keys()
        found |= own
    assert found.keys() == alone.keys()
    assert all((found[row] == alone[row]).all() for row in alone)


def test_ranks_with_no_row_of_the_last_step_keep_one_for_it(packed: Path) -> None:
    """30 rows in steps of 2 x 7 leave 2, of 4 x 7 leave 2: batches come as the plan has them."""
    for rank in range(4):
        loading = shuffled(packed, rank=rank, world_size=4, batch_size=7)
        sizes = [len(batch.rows) for batch in loading]
        assert sizes == ([7, 1] if rank < 2 else [6, 1])


@pytest.mark.parametrize("done", range(5))
def test_a_state_gives_exactly_the_remaining_batches(packed: Path, done: int) -> None:
    """After any batch, through JSON, in a new loader: the same bytes, and then the next epoch."""
    whole = shuffled(packed, augmentation=AUGMENTATION)
    first = iter(whole)
    for _ in range(done):
        next(first)
    state = json.loads(json.dumps(whole.state_dict()))
    rest, following = taken(first), taken(whole)
    resumed = shuffled(packed, augmentation=AUGMENTATION, workers=1)
    resumed.load_state_dict(state)
    resumed.set_epoch(1)  # as loops with a counter of epochs do: the position stays
    assert taken(resumed) == rest
    assert taken(resumed) == following
    assert len(rest) == 4 - done


def test_the_state_between_epochs_is_the_begin_of_the_next(packed: Path) -> None:
    """Nothing is repeated and nothing left out."""
    whole = shuffled(packed)
    rows_of(whole)
    state = whole.state_dict()
    resumed = shuffled(packed)
    resumed.load_state_dict(state)
    assert resumed.epoch == 2
    assert rows_of(resumed) == rows_of(whole)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 6},
        {"batch_size": 4},
        {"split": "val"},
        {"world_size": 2},
        {"shuffle": False},
        {"size": 16},
        {"mean": (0, 0, 0)},
        {"std": (1, 1, 1)},
        {"augmentation": AUGMENTATION},
        {"difficult": "positive"},
        {"on_error": "skip"},
    ],
    ids=str,
)
def test_a_state_of_other_batches_is_refused(packed: Path, other: dict[str, Any]) -> None:
    """The message names what differs; the state went through JSON."""
    state = json.loads(json.dumps(shuffled(packed).state_dict()))
    shuffled(packed).load_state_dict(state)
    settings = {"split": "train", "shuffle": True, "seed": 5, **other}
    name = next(iter(other)).replace("split", "images")
    with pytest.raises(LoaderError, match=f"the state has {name} "):
        opened(packed, **settings).load_state_dict(state)


@pytest.mark.parametrize(
    "damage", [{"epoch": "1"}, {"epoch": -1}, {"batches_done": 9}, {"batches_done": None}]
)
def test_a_damaged_state_is_refused(packed: Path, damage: dict[str, Any]) -> None:
    """Before it can lead anywhere."""
    loading = shuffled(packed)
    with pytest.raises(LoaderError, match="damaged"):
        loading.load_state_dict({**loading.state_dict(), **damage})


def test_a_newer_loop_ends_the_one_before(packed: Path) -> None:
    """The older one says so, rather than to come to an early end without a word."""
    gc.collect()  # what other tests have left ends before, and not meanwhile
    before = decoding_threads()
    loading = shuffled(packed)
    older = iter(loading)
    next(older)
    newer = iter(loading)
    next(newer)
    with pytest.raises(LoaderError, match="newer one"):
        next(older)
    assert decoding_threads() == before + 2
    with pytest.raises(LoaderError, match="newer one"):
        list(zip(loading, loading, strict=True))
    newer = older = None  # type: ignore[assignment]


def test_two_loaders_of_one_set_are_independent(packed: Path) -> None:
    """Each has its position."""
    pairs = list(zip(shuffled(packed), shuffled(packed), strict=True))
    assert all((one.images == two.images).all() for one, two in pairs)
