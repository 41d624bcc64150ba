"""Which rows come in which batch: order, ranks, rest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from vocscore.api.loader_batches import BatchPlan
from vocscore.errors import LoaderError
from vocscore.training.trainer import epoch_order

CASES = [
    (rows, batch_size, world_size)
    for rows, batch_size, world_size in itertools.product(range(1, 30), range(1, 6), range(1, 5))
    if rows >= world_size
]


def ranks_of(
    rows: int, batch_size: int, world_size: int, **settings: bool
) -> list[list[list[int]]]:
    """Of each rank its batches, as lists of rows."""
    return [
        [
            batch.tolist()
            for batch in BatchPlan(
                rows=rows,
                batch_size=batch_size,
                shuffle=True,
                seed=3,
                rank=rank,
                world_size=world_size,
                **settings,
            ).batches(2)
        ]
        for rank in range(world_size)
    ]


def test_one_rank_cuts_the_order_of_training() -> None:
    """A twin in four lines: NumPy's permutation by (seed, epoch), cut at every batch_size."""
    for rows, batch_size, _ in CASES:
        order = np.random.default_rng((3, 2)).permutation(rows).tolist()
        assert order == epoch_order(rows, seed=3, epoch=2).tolist()
        cut = [order[at : at + batch_size] for at in range(0, rows, batch_size)]
        assert ranks_of(rows, batch_size, 1) == [cut]


def test_every_row_comes_once_on_one_rank() -> None:
    """Whatever the numbers: no row twice, none left out, no batch empty or too large."""
    for rows, batch_size, world_size in CASES:
        batches = [batch for rank in ranks_of(rows, batch_size, world_size) for batch in rank]
        assert sorted(row for batch in batches for row in batch) == list(range(rows))
        assert all(1 <= len(batch) <= batch_size for batch in batches)


def test_ranks_have_equally_many_batches() -> None:
    """Or gradients that are averaged would wait for ever; of single images one may be missing."""
    for rows, batch_size, world_size in CASES:
        counts = [len(rank) for rank in ranks_of(rows, batch_size, world_size)]
        allowed = 1 if batch_size == 1 and rows % world_size else 0
        assert max(counts) - min(counts) == allowed, (rows, batch_size, world_size)


def test_full_steps_of_all_ranks_are_the_batches_of_one() -> None:
    """Two ranks with batches of 4 see in each full step what one process with 8 sees."""
    for rows, batch_size, world_size in CASES:
        ranks = ranks_of(rows, batch_size, world_size)
        (alone,) = ranks_of(rows, batch_size * world_size, 1)
        full = rows // (batch_size * world_size) - 1  # the last may give rows to the rest
        for step in range(full):
            assert [row for rank in ranks for row in rank[step]] == alone[step]


def test_drop_last_leaves_full_batches_only() -> None:
    """On every rank as many, each full."""
    for rows, batch_size, world_size in CASES:
        ranks = ranks_of(rows, batch_size, world_size, drop_last=True)
        full = rows // (batch_size * world_size)
        assert [[len(batch) for batch in rank] for rank in ranks] == [
            [batch_size] * full
        ] * world_size


def test_without_shuffling_rows_come_in_order() -> None:
    """In every epoch."""
    plan = BatchPlan(rows=5, batch_size=2)
    for epoch in (1, 2):
        assert [batch.tolist() for batch in plan.batches(epoch)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"seed": -1},
        {"rank": 2, "world_size": 2},
        {"rank": -1},
        {"world_size": 0},
        {"world_size": 6},
    ],
    ids=str,
)
def test_impossible_values_are_refused(wrong: dict[str, int]) -> None:
    """Each with its name in the message."""
    with pytest.raises(LoaderError, match=f"{next(iter(wrong))[:4]}"):
        BatchPlan(**{"rows": 5, "batch_size": 2, **wrong})
