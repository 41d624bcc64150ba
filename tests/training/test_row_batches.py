"""Which rows come together, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vocscore.pipeline.batch import Batch
from vocscore.training.finetune import regroup
from vocscore.training.trainer import epoch_order, row_batches, steps_an_epoch


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 9, 10, 21])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 20])
def test_no_lone_last_batch(rows: int, batch_size: int) -> None:
    """Every row comes once; a lone last row joins its neighbors, alike for rows and batches."""
    order = np.random.default_rng(rows).permutation(rows)
    cut = row_batches(order, batch_size=batch_size)
    assert np.concatenate(cut).tolist() == order.tolist()
    assert len(cut) == steps_an_epoch(rows, batch_size=batch_size)
    assert all(len(part) >= min(batch_size, rows, 2) for part in cut)
    assert all(len(part) == batch_size for part in cut[:-1])
    parts = [order[at : at + batch_size] for at in range(0, rows, batch_size)]
    batches = (Batch(torch.full((len(p), 3, 1, 1), int(p[0]), dtype=torch.uint8), p) for p in parts)
    made = regroup(batches, [len(part) for part in cut], side=1)
    assert [batch.rows.tolist() for batch in made] == [part.tolist() for part in cut]


def test_order_changes_with_epoch_and_seed_only() -> None:
    """The order of an epoch is a permutation that the seed and the epoch decide."""

    def order(seed: int, epoch: int) -> list[int]:
        return epoch_order(50, seed=seed, epoch=epoch).tolist()

    assert sorted(order(3, 1)) == list(range(50))
    assert order(3, 1) == order(3, 1)
    assert len({tuple(order(seed, epoch)) for seed in (3, 4) for epoch in (1, 2)}) == 4
