"""Files that are prepared ahead of the writer: in order, bounded in number and in bytes."""

from __future__ import annotations

import threading

import pytest

from shards.images import budget
from shards.packing.prepare import in_threads


def most_ahead(sizes: list[int], *, workers: int) -> int:
    """The largest sum of sizes that were begun and not yielded, when all come in order."""
    lock, now, most = threading.Lock(), 0, 0

    def work(at: int) -> int:
        nonlocal now, most
        with lock:
            now += sizes[at]
            most = max(most, now)
        return at

    found = in_threads(work, range(len(sizes)), workers=workers, size=sizes.__getitem__)
    for expected, at in enumerate(found):
        assert at == expected
        with lock:
            now -= sizes[at]
    return most


@pytest.fixture(autouse=True)
def _limit() -> object:
    budget.set_limit(4000)  # a quarter is for files
    yield
    budget.set_limit(budget.LIMIT)


def test_bytes_are_bounded_whatever_the_number_of_threads() -> None:
    """Together with the one that is being written, which was yielded."""
    assert 600 <= most_ahead([300] * 100, workers=16) <= 1300


def test_a_file_above_the_limit_is_prepared_alone() -> None:
    """It waits for those before it; those after it wait for it."""
    assert most_ahead([10, 5000, 10, 7000, 10] * 5, workers=4) <= 7010


def test_small_files_are_bounded_by_their_number() -> None:
    """Three for each thread, and one."""
    assert 1 <= most_ahead([1] * 200, workers=2) <= 9
