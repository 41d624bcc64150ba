"""The search finds what comparing every pair finds."""

from __future__ import annotations

import numpy as np
import pytest

from shards.hash_search import _count_bits, count_bits, find_nearest


def alike(images: int, *, seed: int) -> np.ndarray:
    """Hashes around a few centers, so that many are near and several are equal."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**63, 12, dtype=np.uint64)[random.integers(0, 12, images)]
    for _ in range(5):
        flips = np.uint64(1) << random.integers(0, 64, images, dtype=np.uint64)
        hashes ^= np.where(random.random(images) < 0.3, flips, np.uint64(0))
    return hashes


@pytest.mark.parametrize("distance", [0, 1, 5, 6, 16])
@pytest.mark.parametrize("count", [1, 3])
def test_equals_comparing_every_pair(distance: int, count: int) -> None:
    """For each image and split the nearest other image, at the distance that Python counts."""
    hashes = alike(200, seed=distance)
    splits = np.sort(np.random.default_rng(1).integers(0, count, len(hashes)))
    found = find_nearest(hashes, splits, count=count, distance=distance)
    near = 0
    for one in range(len(hashes)):
        for split in range(count):
            apart = {
                other: f"{int(hashes[one]) ^ int(hashes[other]):b}".count("1")
                for other in np.flatnonzero(splits == split).tolist()
                if other != one
            }
            least = min(apart.values(), default=99)
            row = int(found.rows[one, split])
            if least > distance:
                assert row == -1
            else:
                near += 1
                assert apart[row] == least == found.distances[one, split]
    assert near > 20


def test_equal_hashes_do_not_multiply() -> None:
    """Of 50,000 equal hashes each has one neighbor per split, the first or, for it, the second."""
    hashes = np.full(50_000, 5, np.uint64)
    splits = np.repeat([0, 1], 25_000)
    rows = find_nearest(hashes, splits, count=2, distance=6).rows
    assert rows[:3].tolist() == [[1, 25_000], [0, 25_000], [0, 25_000]]
    assert rows[25_000:25_003].tolist() == [[0, 25_001], [0, 25_000], [0, 25_000]]


def test_nothing_to_search() -> None:
    """No image, and one image, have no neighbor."""
    none = find_nearest(np.empty(0, np.uint64), np.empty(0, np.int64), count=2, distance=6)
    assert none.rows.shape == (0, 2)
    one = find_nearest(np.array([3], np.uint64), np.array([1]), count=2, distance=6)
    assert one.rows.tolist() == [[-1, -1]]


def test_bits_are_counted_as_python_counts() -> None:
    """With NumPy 2, and as for older ones."""
    values = np.concatenate([alike(500, seed=3), np.array([0, 2**64 - 1], np.uint64)])
    expected = [f"{value:b}".count("1") for value in values.tolist()]
    assert count_bits(values).tolist() == expected
    assert _count_bits(values).tolist() == expected
