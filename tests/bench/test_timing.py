"""Who is timed when, and what counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import timing
from bench.timing import Rate, Timed, interleave, interleave_seconds, interleave_values

if TYPE_CHECKING:
    import pytest


def test_contestants_take_turns_and_the_first_round_does_not_count() -> None:
    """A B, A B, A B: a machine that slows down is fair to both."""
    order: list[str] = []

    def work(name: str) -> float:
        order.append(name)
        return float(len(order))

    rates = interleave_values({"a": lambda: work("a"), "b": lambda: work("b")}, repeats=2)
    assert order == ["a", "b"] * 3
    assert rates == {"a": Rate((3.0, 5.0)), "b": Rate((4.0, 6.0))}


def test_images_are_divided_by_the_seconds_that_they_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock around the call, or by the work's own where it leaves preparations out."""
    clock = iter(range(0, 100, 2))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
    rates = interleave({"clock": lambda: 10, "own": lambda: Timed(10, 4.0)}, repeats=1)
    assert rates == {"clock": Rate((5.0,)), "own": Rate((2.5,))}
    assert interleave_seconds({"x": lambda: None}, repeats=1) == {"x": Rate((2.0,))}


def test_median_and_spread() -> None:
    """The middle value, and how far the ends are apart beside it."""
    rate = Rate((8.0, 10.0, 14.0))
    assert (rate.median, rate.spread) == (10.0, 0.6)
    assert rate.times(2).values == (16.0, 20.0, 28.0)
