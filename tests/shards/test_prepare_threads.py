"""Files that are prepared ahead of the writer: in order, bounded in number and in bytes."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from shards.images import budget
from shards.packing.prepare import Candidate, Handling, chunked, in_threads
from shards.raw_images import RawForm
from shards.sample import Sample


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


@pytest.mark.parametrize(("side", "most_images"), [(64, 16), (1024, 1), (4096, 1)])
def test_raw_images_count_with_the_size_that_they_will_have(side: int, most_images: int) -> None:
    """However small the files are that they are made of: a thread holds at most 4 MiB, or one."""
    maker = SimpleNamespace(form=RawForm(side, "squash", "bilinear", 1.0, (0, 0, 0)))
    handling = Handling(True, 999, side, 90, raw=maker)
    candidates = [Candidate(Sample(f"{at}", ()), 5000) for at in range(40)]
    chunks = list(chunked(candidates, handling))
    assert [one for chunk in chunks for one in chunk] == candidates
    assert max(map(len, chunks)) == most_images
    assert handling.held(chunks[0]) == len(chunks[0]) * (3 * side * side + 128)
