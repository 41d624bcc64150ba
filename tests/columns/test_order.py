"""The fast order is NumPy's own."""

from __future__ import annotations

import numpy as np
import pytest

from vocscore.columns.order import order_of


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("descending", [False, True])
def test_order_is_that_of_numpy(seed: int, descending: bool) -> None:
    """Equal numbers in place, nan last; zeros of both signs, the smallest and the largest."""
    generator = np.random.default_rng(seed)
    values = generator.random(500).astype(np.float32)
    values = np.where(generator.random(500) < 0.3, np.round(values, 1), values).astype(np.float32)
    odd = np.array([0.0, -0.0, 1e-45, 1.0, 3e38, np.inf, np.nan], np.float32)
    values[generator.integers(0, 500, 100)] = generator.choice(odd, 100)
    want = np.argsort(-values if descending else values, kind="stable")
    np.testing.assert_array_equal(order_of(values, descending=descending), want)


def test_nothing_and_one_number() -> None:
    """Empty in, empty out."""
    assert order_of(np.empty(0, np.float32)).tolist() == []
    assert order_of(np.array([0.5], np.float32), descending=True).tolist() == [0]
