from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from vocscore.scoring.engines.prefetch import Prefetcher


def test_items_come_in_order():
    """Everything comes, in order."""
    with closing(Prefetcher((i for i in range(100)), depth=2)) as items:
        assert list(items) == list(range(100))


def test_items_are_fetched_while_the_consumer_works():
    """While the consumer holds the first item, the next two are fetched in another thread."""
    fetched = [threading.Event() for _ in range(5)]

    def source():
        for i, event in enumerate(fetched):
            event.set()
            yield i, threading.get_ident()

    with closing(Prefetcher(source(), depth=2)) as items:
        _, thread = next(items)
        assert fetched[2].wait(10)
        assert thread != threading.get_ident()
        assert not fetched[4].is_set()


def test_an_error_comes_at_its_place():
    """What the source raises comes after the items before it."""

    def source():
        yield 1
        yield 2
        raise OSError("broken")

    got = []
    with pytest.raises(OSError, match="broken"), closing(Prefetcher(source(), depth=2)) as items:
        got.extend(items)
    assert got == [1, 2]


def test_a_consumer_that_stops_closes_the_source_and_its_thread():
    """Stopped early, the source's `finally` has run and no thread is left."""
    closed = []

    def source():
        try:
            yield from range(1000)
        finally:
            closed.append(True)

    before, held = threading.active_count(), source()  # held: or its last reference closes it
    with closing(Prefetcher(held, depth=2)) as items:
        next(items)
    assert closed
    assert threading.active_count() == before


def test_a_consumer_that_stops_waits_for_the_running_item_only():
    """Of the items ordered ahead, those that have not been begun are dropped."""
    begun, second, go_on = [], threading.Event(), threading.Event()

    def source():
        for i in range(1000):
            begun.append(i)
            if i == 1:
                second.set()
                go_on.wait(10)
            yield i

    with closing(Prefetcher(source(), depth=3)) as items:
        next(items)
        assert second.wait(10)
        threading.Timer(0.2, go_on.set).start()
    assert begun == [0, 1]


def test_it_says_whether_the_next_item_is_there():
    """Not ready while the source works; ready with an item, and at the end, which stays the end."""
    go_on = threading.Event()

    def source():
        go_on.wait(10)
        yield 1

    with closing(Prefetcher(source(), depth=2)) as items:
        assert not items.ready()
        go_on.set()
        assert next(items) == 1
        assert next(items, None) is None
        assert items.ready()
        assert next(items, None) is None


def test_an_item_that_is_there_is_told_from_the_end_and_from_an_error():
    """`next` may be called for an item without waiting; end and error stay for their turn."""
    go_on = threading.Event()

    def source(error):
        yield 1
        go_on.wait(10)
        if error:
            raise OSError("broken")

    for error in (False, True):
        go_on.clear()
        with closing(Prefetcher(source(error), depth=2)) as items:
            while not items.has_item():
                time.sleep(0.001)
            assert next(items) == 1
            assert not items.has_item()
            go_on.set()
            while not items.ready():
                time.sleep(0.001)
            assert not items.has_item()
            if error:
                with pytest.raises(OSError, match="broken"):
                    next(items)
            else:
                assert next(items, None) is None
                assert not items.has_item()
