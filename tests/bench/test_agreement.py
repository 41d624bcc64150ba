"""Contestants that do other work are found."""

from __future__ import annotations

import numpy as np
import pytest

from bench.agreement import EXACT, FAITHFUL, Limit, agreement, compare

TRUTH = np.array([[0.9, 0.2], [0.4, 0.1]], np.float32)


def test_difference_and_changed_decisions_are_counted() -> None:
    """One of four decisions falls to the other side, by 0.2; one of four is 'present'."""
    found = agreement(TRUTH, TRUTH + np.array([[0, 0], [0.2, 0]], np.float32), threshold=0.5)
    assert found.largest_difference == pytest.approx(0.2)
    assert (found.changed, found.positive) == (0.25, 0.25)


def test_each_class_may_have_its_own_threshold() -> None:
    """The second class is present from 0.15 on."""
    assert agreement(TRUTH, TRUTH, threshold=(0.5, 0.15)).positive == 0.5


@pytest.mark.parametrize("limit", [EXACT, FAITHFUL])
@pytest.mark.parametrize("wrong", [0.03, np.nan])
def test_a_wrong_contestant_is_refused_and_the_others_stay(limit: Limit, wrong: float) -> None:
    """A shift of one probability is beyond the limit; so is NaN."""
    shifted = TRUTH.copy()
    shifted[1, 1] += wrong
    answers = {"right": TRUTH.copy(), "wrong": shifted}
    limits = dict.fromkeys(answers, limit)
    found, refused = compare(TRUTH, answers, limits=limits, threshold=0.5)
    assert list(found) == ["right", "wrong"]
    assert list(refused) == ["wrong"]


def test_other_rows_are_no_comparison() -> None:
    """A contestant that lost a row is not compared with what is left."""
    with pytest.raises(ValueError, match="probabilities"):
        agreement(TRUTH, TRUTH[:1], threshold=0.5)
