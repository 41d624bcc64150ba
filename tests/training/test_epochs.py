"""Which epochs run, and whose network is kept: with a training that goes as it is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_training import chosen

from vocscore.errors import DivergedError
from vocscore.training.choices import Keeping
from vocscore.training.epochs import SoFar, run_epochs
from vocscore.training.trainer import SplitOutcome


def outcome(rank: int) -> SplitOutcome:
    """One positive among ten images, at this rank: its average precision is 1 / rank."""
    labels = np.zeros((10, 1), dtype=np.int8)
    labels[rank - 1] = 1
    return SplitOutcome(0.5, labels, -np.arange(10, dtype=np.float32)[:, None])


class Told:
    """A `Fit` whose validation split has the ranks that it is given, epoch by epoch."""

    def __init__(self, ranks: list[int]) -> None:
        self._ranks = ranks
        self._at = 0

    def rate(self) -> float:
        return 0.01

    def epoch(self, number: int) -> tuple[SplitOutcome, SplitOutcome]:
        self._at = number
        if self._ranks[number - 1] == 0:
            raise DivergedError("not a number")
        return outcome(1), outcome(self._ranks[number - 1])

    def weights(self) -> dict[str, torch.Tensor]:
        return {"epoch": torch.tensor(self._at)}

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass


def run(ranks: list[int], so_far: SoFar | None = None, **keeping: Any) -> SoFar:
    so_far = SoFar() if so_far is None else so_far
    coming = run_epochs(
        Told(ranks),
        so_far,
        epochs=len(ranks),
        keeping=chosen(Keeping, **keeping),
        threshold=0.5,
    )
    for _ in coming:
        pass
    return so_far


@pytest.mark.parametrize(
    ("ranks", "patience", "epochs", "best"),
    [
        ([5, 4, 3, 2, 1], 1, 5, 5),  # ever better
        ([5, 4, 4, 3, 1], 1, 3, 2),  # as good is not better
        ([5, 4, 4, 3, 1], 2, 5, 5),
        ([1, 2, 3, 4, 5], 3, 4, 1),
        ([2, 3, 1, 4, 4, 4, 1], 3, 6, 3),
        ([2, 3, 1, 4, 4, 4, 1], None, 7, 3),
    ],
)
def test_patience_and_best(ranks: list[int], patience: int | None, epochs: int, best: int) -> None:
    """Training ends so many epochs after the best; the first of equals is the best and is kept."""
    so_far = run(ranks, keep="best", patience=patience)
    assert [1 / r.val.mean_average_precision for r in so_far.history] == ranks[:epochs]
    assert so_far.kept is not None
    assert so_far.kept.epoch == int(so_far.kept.weights["epoch"]) == best
    assert max(r.epoch for r in so_far.history if r.kept) == best


def test_last_is_kept() -> None:
    """With keep='last' each epoch is kept in its turn, whatever its mAP."""
    so_far = run([1, 2, 3])
    assert so_far.kept is not None
    assert so_far.kept.epoch == int(so_far.kept.weights["epoch"]) == 3
    assert all(result.kept for result in so_far.history)


def test_divergence_leaves_what_was_kept() -> None:
    """A loss that is not a number in epoch 3 leaves two epochs and the best of them."""
    so_far = SoFar()
    with pytest.raises(DivergedError):
        run([2, 5, 0, 1], so_far, keep="best")
    assert len(so_far.history) == 2
    assert so_far.kept is not None
    assert so_far.kept.epoch == 1


def test_state_brings_it_all_back() -> None:
    """What was so far survives its state, and the epochs after it are the same."""
    ranks = [2, 3, 1, 4, 4, 4, 1]
    whole = run(ranks, keep="best", patience=3)
    cut = run(ranks[:4], keep="best", patience=3)
    again = run(ranks, SoFar.from_state(cut.to_state()), keep="best", patience=3)
    assert again.history == whole.history
    assert again.kept is not None
    assert whole.kept is not None
    assert again.kept.epoch == whole.kept.epoch
    np.testing.assert_array_equal(again.kept.val.logits, whole.kept.val.logits)
    np.testing.assert_array_equal(again.kept.val.labels, whole.kept.val.labels)
