"""Scores some images with the engine of a real run, as fast as it goes, and takes the time.

Stages overlap and share the cores, so the rate of a run does not follow from those of its stages.
"""

from __future__ import annotations

import statistics
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from vocscore.errors import ScoreError
from vocscore.scoring.engines import Advance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vocscore.scoring.engines import Engine, Finished
    from vocscore.scoring.inputs.units import Unit

WARM_UP: Final = 0.25
"""Share of the time that does not count: until every stage has something to do."""
LEAST_STEPS: Final = 8
"""Steps (batches, mostly) that are counted at least, where images take long."""
LONGEST: Final = 4.0
"""Multiple of the time after which there are no more steps to wait for."""
_WINDOWS: Final = 8
FEW_WINDOWS: Final = 4
UNKNOWN_DEVIATION: Final = 0.2
"""Standard error that is assumed at least, where fewer stretches say little about it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What was done at a moment.

    Attributes:
        seconds: of a clock.
        images: rows that were done, errors included.
        errors: how many of these are errors.
    """

    seconds: float
    images: int
    errors: int


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that is over.

    Attributes:
        images: rows that were counted.
        errors: how many of these are errors.
        seconds: time that they took.
        deviation: standard error of the rate, as a share of it: of its changes during the trial.
        delay: seconds by which the first images came later than at this rate, while the stages
            had nothing to do yet.
    """

    images: int
    errors: int
    seconds: float
    deviation: float
    delay: float = 0.0

    @property
    def images_per_second(self) -> float:
        """The rate, errors included."""
        return self.images / self.seconds


def try_out(
    engine: Engine,
    units: Iterator[Unit],
    *,
    seconds: float,
    commit: Callable[[Finished], None],
    clock: Callable[[], float] = time.perf_counter,
) -> Trial:
    """Score units until the time is over.

    Args:
        engine: of the run; it is not closed.
        units: never ends.
        seconds: that are counted; more where few batches are done in them.
        commit: called with each unit that is finished.
        clock: seconds.

    Raises:
        ScoreError, RowsError: as for `Engine.score`.
    """
    running: dict[int, Advance] = {}
    finished = errors = 0
    marks: list[Mark] = []
    begun = clock()
    with closing(engine.score(units)) as events:
        for event in events:
            if isinstance(event, Advance):
                running[event.number] = event
            else:
                commit(event)
                running.pop(event.unit.number, None)
                finished += len(event.rows.names)
                errors += len(event.rows.failures)
            done = finished + sum(unit.done for unit in running.values())
            bad = errors + sum(unit.errors for unit in running.values())
            if not marks or done > marks[-1].images:
                marks.append(Mark(clock(), done, bad))
            if _is_over(marks, seconds):
                break
    trial = trial_of(_counted(marks, seconds))
    at_rate = marks[0].images / trial.images_per_second
    return replace(trial, delay=max(0.0, marks[0].seconds - begun - at_rate))


def _counted(marks: Sequence[Mark], seconds: float) -> Sequence[Mark]:
    """Leave out the warm-up, unless too little remains."""
    begun = marks[0].seconds if marks else 0.0
    warm = [mark for mark in marks if mark.seconds >= begun + WARM_UP * seconds]
    return warm if len(warm) > 1 else marks


def _is_over(marks: Sequence[Mark], seconds: float) -> bool:
    passed = marks[-1].seconds - marks[0].seconds
    if passed < (1 + WARM_UP) * seconds:
        return False
    return len(_counted(marks, seconds)) > LEAST_STEPS or passed > LONGEST * seconds


def trial_of(marks: Sequence[Mark]) -> Trial:
    """Sum up what was done between the first and the last mark.

    Raises:
        ScoreError: there are not two marks, or no time between them.
    """
    if len(marks) < 2 or marks[-1].seconds <= marks[0].seconds:
        raise ScoreError("the trial ended after less than two batches, so there is no rate.")
    first, last = marks[0], marks[-1]
    images, seconds = last.images - first.images, last.seconds - first.seconds
    rates = _rates(marks)
    spread = statistics.stdev(rates) / len(rates) ** 0.5 if len(rates) > 1 else 0.0
    known = 0.0 if len(rates) >= FEW_WINDOWS else UNKNOWN_DEVIATION
    deviation = max(spread * seconds / images, known)
    return Trial(images, last.errors - first.errors, seconds, deviation)


def _rates(marks: Sequence[Mark]) -> list[float]:
    """Images per second in stretches of about equal length that end at marks."""
    length = (marks[-1].seconds - marks[0].seconds) / _WINDOWS
    rates, since = [], marks[0]
    for mark in marks[1:]:
        passed = mark.seconds - since.seconds
        if passed >= length:
            rates.append((mark.images - since.images) / passed)
            since = mark
    return rates
