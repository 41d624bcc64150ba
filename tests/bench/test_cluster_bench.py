"""The simulation of many workers agrees with what can be computed by hand."""

from __future__ import annotations

import pytest

from bench.cluster import simulate


@pytest.mark.parametrize("workers", [1, 7, 50])
def test_without_commits_workers_are_never_idle(workers: int) -> None:
    """The time is the mean share of the work."""
    seconds = simulate(100 * workers, workers=workers, unit=2.0, commit=0.0)
    assert seconds == pytest.approx(200.0, rel=0.03)


def test_many_workers_wait_for_the_one_committer() -> None:
    """Then only its time per unit counts."""
    seconds = simulate(5000, workers=1000, unit=2.0, commit=0.1)
    assert seconds == pytest.approx(5000 * 0.1 + 2.0, rel=0.01)


def test_one_worker_hides_the_commits() -> None:
    """The second unit in hand is worked on while the driver commits the first."""
    seconds = simulate(100, workers=1, unit=2.0, commit=0.5)
    assert seconds == pytest.approx(200.5, rel=0.03)
