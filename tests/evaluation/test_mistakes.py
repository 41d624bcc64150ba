"""Which labels are missed together, beside a count image by image."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from drawn_tables import draw

from vocscore.evaluation.mistakes import missed_together


@pytest.mark.parametrize("at_once", [10, 1 << 14])
def test_counts_are_those_of_a_plain_loop(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every pair: the images in which both are there and neither is predicted."""
    monkeypatch.setattr("vocscore.evaluation.mistakes._ROWS_AT_ONCE", at_once)
    labels, probabilities = draw(0)
    predicted = probabilities >= 0.4
    got = missed_together(labels, predicted)
    for a, b in itertools.product(range(7), repeat=2):
        images = sum(
            bool(y[a] == 1 and y[b] == 1 and not p[a] and not p[b])
            for y, p in zip(labels, predicted, strict=True)
        )
        assert got[a, b] == images
    assert got.sum() > 0


def test_ignored_and_false_alarms_are_no_misses() -> None:
    """A difficult label that is not predicted, and a prediction of what is absent, miss nothing."""
    labels = np.array([[-1, 0, 1]], np.int8)
    predicted = np.array([[False, True, False]])
    assert missed_together(labels, predicted).tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]
