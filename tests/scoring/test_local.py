"""The engine in this process: what it waits for, and what it does not."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
from score_doubles import CLASSES, FakeForward, FakeLoader, answer, make_files

from vocscore.scoring.engines import Advance, Finished
from vocscore.scoring.engines.inference import Pending
from vocscore.scoring.engines.local import LocalEngine
from vocscore.scoring.inputs.globs import EVERYTHING
from vocscore.scoring.inputs.sources import read_source
from vocscore.workers.worker import Arrivals

NAMES = [f"{i:03d}{'bad' if i % 7 == 3 else ''}.jpg" for i in range(30)]


class LateForward(FakeForward):
    """Has no answer before it is asked for it; notes what is set going and what is waited for."""

    def __init__(self):
        self.events = []

    def feed(self, batch):
        if not len(batch.rows):
            return
        self.events.append("set going")

        def results():
            self.events.append("waited")
            return np.stack([answer(name) for name in batch.images])

        yield Pending(batch.rows, results)


class AllFetched:
    """In place of a `Prefetcher`: every item is there when it is asked for."""

    def __init__(self, items, *, depth):
        self.items = items
        self.peeked = []

    def ready(self):
        return True

    def has_item(self):
        self.peeked = self.peeked or list(islice(self.items, 1))
        return bool(self.peeked)

    def __iter__(self):
        return self

    def __next__(self):
        return self.peeked.pop() if self.peeked else next(self.items)

    def close(self):
        self.items.close()


@pytest.fixture
def units(tmp_path):
    source = make_files(tmp_path / "images", NAMES)
    return list(read_source(source, globs=EVERYTHING, listing=None).units(10))


def test_a_unit_ends_before_the_next_one_is_handed_out(units):
    """Nobody hands out a second unit before the first has come back: no waiting for each other."""
    waiting = queue.SimpleQueue()
    waiting.put(units[0])
    engine = LocalEngine(FakeLoader(3), LateForward(), classes=len(CLASSES))
    finished = []
    with closing(engine.score(iter(waiting.get, None))) as events:
        for event in events:
            if isinstance(event, Finished):
                finished.append(event.unit.number)
                waiting.put(units[len(finished)] if len(finished) < len(units) else None)
    assert finished == [0, 1, 2]


def test_results_are_not_waited_for_while_there_is_something_to_set_going(units):
    """With the batches of a unit at hand, the next one is set going before one is waited for."""
    forward = LateForward()
    with pytest.MonkeyPatch.context() as patch:
        for module in ("local", "stages"):
            patch.setattr(f"vocscore.scoring.engines.{module}.Prefetcher", AllFetched)
        engine = LocalEngine(FakeLoader(5), forward, classes=len(CLASSES))
        events = list(engine.score(iter(units)))
    assert forward.events == ["set going"] * 6 + ["waited"] * 6
    assert [e.unit.number for e in events if isinstance(e, Finished)] == [0, 1, 2]
    for event in (e for e in events if isinstance(e, Finished)):
        for row, name in enumerate(event.rows.names):
            failed = row in event.rows.failures
            assert failed == ("bad" in name)
            if not failed:
                np.testing.assert_array_equal(event.rows.probabilities[row], answer(name))


def test_the_next_unit_is_begun_before_the_last_batch_of_this_one_comes(units):
    """Across the border a loader has work: it never waits for a unit to be handed out whole."""
    begun = [threading.Event() for _ in range(len(units) + 1)]
    begun[-1].set()

    class Watched(FakeLoader):
        def batches(self, images, **arguments):
            number = len(self.asked)
            made = list(super().batches(images, **arguments))
            begun[number].set()
            yield from made[:-1]
            assert begun[number + 1].wait(20)
            yield made[-1]

    engine = LocalEngine(Watched(3), FakeForward(), classes=len(CLASSES))
    found = [e.unit.number for e in engine.score(iter(units)) if isinstance(e, Finished)]
    assert found == [0, 1, 2]


def test_a_receiver_that_stops_early_closes_what_was_begun(units):
    """No batch of a unit is left open, also of the one that was begun ahead."""
    opened, closed = [], []

    class Closing(FakeLoader):
        def batches(self, images, **arguments):
            opened.append(images[0].name)
            try:
                yield from super().batches(images, **arguments)
            finally:
                closed.append(images[0].name)

    with closing(LocalEngine(Closing(3), FakeForward(), classes=3).score(iter(units))) as events:
        next(events)
    assert sorted(opened) == sorted(closed)


def test_units_before_one_that_fails_come_out(units):
    """What was set going before the loader failed is waited for and kept."""

    class Fails(FakeLoader):
        def batches(self, images, **arguments):
            if len(self.asked) == 2:
                raise OSError("out of order")
            yield from super().batches(images, **arguments)

    engine = LocalEngine(Fails(3), LateForward(), classes=len(CLASSES))
    events = []
    with pytest.raises(OSError, match="out of order"):
        events.extend(engine.score(iter(units)))
    assert [e.unit.number for e in events if isinstance(e, Finished)] == [0, 1]


def test_progress_never_goes_back_and_ends_with_every_row(units):
    """Rows done grow by unit up to all of them, the bad ones included."""
    engine = LocalEngine(FakeLoader(3), LateForward(), classes=len(CLASSES))
    for unit in units:
        advances = [e for e in engine.score(iter([unit])) if isinstance(e, Advance)]
        assert [e.done for e in advances] == sorted(e.done for e in advances)
        assert advances[-1].done == advances[-1].images == 10


def test_the_next_unit_is_begun_before_this_one_is_through(units):
    """The loader is asked for a unit while batches of the unit before it are still to come."""
    events = []

    class Eager(FakeLoader):
        """Begins when it is asked, as loaders with threads do."""

        def batches(self, images, **arguments):
            events.append(("asked", images[0].name))
            return self.noted(super().batches(images, **arguments))

        def noted(self, made):
            for batch in made:
                events.append(("batch", batch.images[0]))
                yield batch

    engine = LocalEngine(Eager(2), LateForward(), classes=len(CLASSES))
    finished = [e for e in engine.score(iter(units)) if isinstance(e, Finished)]
    assert [e.unit.number for e in finished] == [0, 1, 2]
    for tens in ("01", "02"):  # the names of the second and the third unit begin so
        asked = next(
            i for i, (what, name) in enumerate(events) if (what, name[:2]) == ("asked", tens)
        )
        before = [i for i, (what, name) in enumerate(events) if what == "batch" and name[:2] < tens]
        assert asked < max(before)


def test_the_network_goes_on_while_a_unit_is_committed(units):
    """Whoever takes the events may be busy: what comes after is set going meanwhile."""
    forward = LateForward()
    engine = LocalEngine(FakeLoader(5), forward, classes=len(CLASSES))
    with closing(engine.score(iter(units))) as events:
        next(event for event in events if isinstance(event, Finished))
        deadline = time.monotonic() + 10
        while forward.events.count("set going") < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert forward.events.count("set going") == 6


@pytest.mark.parametrize("who", ["loader", "network"])
@pytest.mark.timeout(30)
def test_an_error_comes_out_although_another_unit_is_waited_for(units, who):
    """Whoever hands out units waits for this error before it says that there are no more."""
    handed = Arrivals()
    handed.put(units[0])

    class Fails(FakeLoader):
        def batches(self, images, **arguments):
            if who == "loader":
                raise OSError("out of order")
            yield from super().batches(images, **arguments)

    class Refuses(LateForward):
        def feed(self, batch):
            for pending in super().feed(batch):
                yield Pending(pending.rows, self.refuse if who == "network" else pending.fetch)

        def refuse(self):
            time.sleep(0.2)  # until the next unit is waited for
            raise OSError("out of order")

    engine = LocalEngine(Fails(20), Refuses(), classes=len(CLASSES))
    with pytest.raises(OSError, match="out of order"):
        list(engine.score(handed))


def test_units_before_one_that_cannot_be_read_come_out(units):
    """Its error is raised behind them, although it was met while they were decoded."""

    class Broken:
        number, weight = 2, 1

        def read(self):
            raise OSError("out of order")

    engine = LocalEngine(FakeLoader(3), LateForward(), classes=len(CLASSES))
    events = []
    with pytest.raises(OSError, match="out of order"):
        events.extend(engine.score(iter([*units[:2], Broken()])))
    assert [e.unit.number for e in events if isinstance(e, Finished)] == [0, 1]


@pytest.mark.parametrize("how", ["closed", "interrupted"])
@pytest.mark.timeout(30)
def test_no_thread_is_left_although_another_unit_is_waited_for(units, how):
    """A receiver may stop in the middle, by itself or by Ctrl-C: the units are stopped first."""
    before = threading.active_count()
    handed = Arrivals()
    handed.put(units[0])
    events = LocalEngine(FakeLoader(3), LateForward(), classes=len(CLASSES)).score(handed)
    while not isinstance(next(events), Finished):
        pass  # the stages wait for the next unit now
    if how == "closed":
        events.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            events.throw(KeyboardInterrupt)
    assert threading.active_count() == before
