"""The rate of a trial, by a clock and an engine whose speed is known."""

from __future__ import annotations

from itertools import count, repeat
from types import SimpleNamespace

import pytest

from vocscore.errors import ScoreError
from vocscore.scoring.engines import Advance, Finished
from vocscore.scoring.forecast.trial import (
    LEAST_STEPS,
    LONGEST,
    UNKNOWN_DEVIATION,
    Mark,
    trial_of,
    try_out,
)


class FakeEngine:
    """Scores batches of 10 images; each takes so many seconds of its own clock.

    Args:
        seconds: seconds of each batch, one after the other.
        bad: errors of each batch.
    """

    def __init__(self, seconds, *, bad=0):
        self.now = 0.0
        self.batches = 0
        self._seconds = iter(seconds)
        self._bad = bad

    def score(self, units):
        for unit in units:
            for done in range(10, unit.images + 1, 10):
                self.now += next(self._seconds)
                self.batches += 1
                bad = self._bad * done // 10
                yield Advance(unit.number, unit.images, unit.images, done, bad)
            names = range(unit.images)
            rows = SimpleNamespace(names=names, failures=range(self._bad * unit.images // 10))
            yield Finished(unit, SimpleNamespace(), rows)


def units(size):
    return (SimpleNamespace(number=number, images=size) for number in count())


def run(engine, *, seconds, size=40):
    committed = []
    trial = try_out(
        engine, units(size), seconds=seconds, commit=committed.append, clock=lambda: engine.now
    )
    return trial, committed


def test_a_steady_engine_has_its_rate_and_no_deviation() -> None:
    """Ten images in half a second are 20 a second, whatever the units are."""
    for size in (10, 40, 1000):
        trial, committed = run(FakeEngine(repeat(0.5)), seconds=8, size=size)
        assert trial.images_per_second == pytest.approx(20)
        assert trial.deviation == pytest.approx(0, abs=1e-9)
        assert 8 <= trial.seconds <= 9
        assert len(committed) == trial_units(size)


def trial_units(size):
    """Units that end within 10 s and the half second before the first mark."""
    return (210 - 1) // size if size < 1000 else 0


def test_the_warm_up_does_not_count() -> None:
    """Batches of the first seconds took five times as long."""
    slow_then_fast = [*repeat(0.5, 4), *repeat(0.1, 1000)]
    trial, _ = run(FakeEngine(slow_then_fast), seconds=10)
    assert trial.images_per_second == pytest.approx(100)


def test_errors_are_images_that_were_done() -> None:
    """Two of ten in every batch."""
    trial, _ = run(FakeEngine(repeat(0.25), bad=2), seconds=5)
    assert trial.errors / trial.images == pytest.approx(0.2)
    assert trial.images_per_second == pytest.approx(40)


def test_slow_images_are_waited_for_but_not_for_ever() -> None:
    """Batches of 3 s need longer than asked for; batches of 20 s end the trial early."""
    engine = FakeEngine(repeat(3.0))
    trial, _ = run(engine, seconds=10)
    assert trial.images >= 10 * LEAST_STEPS
    assert trial.images_per_second == pytest.approx(10 / 3)
    engine = FakeEngine(repeat(20.0))
    trial, _ = run(engine, seconds=10)
    assert engine.now <= 20 + 10 * LONGEST + 20
    assert trial.images_per_second == pytest.approx(0.5)


def test_an_unsteady_rate_has_a_deviation() -> None:
    """Eight stretches whose rates are 10 and 30 by turns: 20, with 10.7 / sqrt(8) / 20."""
    marks, images = [Mark(0.0, 0, 0)], 0
    for stretch in range(8):
        images += 10 if stretch % 2 else 30
        marks.append(Mark(stretch + 1.0, images, 0))
    trial = trial_of(marks)
    assert trial.images_per_second == pytest.approx(20)
    assert trial.deviation == pytest.approx(10.690 / 8**0.5 / 20, rel=1e-3)


def test_few_stretches_do_not_tell_how_steady_a_rate_is() -> None:
    """Three equal ones have no spread; a fifth is assumed."""
    marks = [Mark(float(turn), 10 * turn, 0) for turn in range(4)]
    assert trial_of(marks).deviation == pytest.approx(UNKNOWN_DEVIATION)


def test_without_two_batches_there_is_no_rate() -> None:
    """Nothing is predicted from nothing."""
    with pytest.raises(ScoreError, match="less than two batches"):
        trial_of([Mark(1.0, 10, 0)])


def test_what_the_first_images_take_longer_is_a_delay() -> None:
    """Two seconds until the stages are full, at 20 images/s: 1.5 s more than ten images take."""
    trial, _ = run(FakeEngine([2.0, *repeat(0.5, 100)]), seconds=8)
    assert trial.delay == pytest.approx(1.5)
    assert run(FakeEngine(repeat(0.5)), seconds=8)[0].delay == pytest.approx(0, abs=1e-9)
