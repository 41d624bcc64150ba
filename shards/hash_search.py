"""Finds the nearest hash of each image in each split, without comparing every pair.

Of d + 1 bands of bits, two hashes that differ in d bits share at least one. Only hashes with an
equal band are compared, so the search is exact.

Source: multi-index hashing (Norouzi, Punjani, Fleet, "Fast Search in Hamming Space with Multi-Index
Hashing", CVPR 2012).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BITS: Final = 64
_NONE: Final = np.uint64(2**64 - 1)
_DISTANCE: Final = np.uint64(40)
"""Distance and row share a number, the distance above these bits: the smaller one is nearer."""


class Nearest(NamedTuple):
    """The nearest other image of each image, one per split.

    Attributes:
        rows: int64, shape (N, S): its row; -1 if none is near enough. Of several that are equally
            near, the first.
        distances: int64, shape (N, S): the number of bits that differ.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.int64]


class _Cells(NamedTuple):
    """Images of one split with equal hashes, which are compared once: their number is M.

    Attributes:
        hashes: uint64, shape (M,).
        splits: int64, shape (M,).
        first: int64, shape (M,): the first row of each.
        second: int64, shape (M,): the second row; -1 if there is none.
        of: int64, shape (N,): the cell of each row.
    """

    hashes: NDArray[np.uint64]
    splits: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    of: NDArray[np.int64]


def find_nearest(
    hashes: NDArray[np.uint64],
    splits: NDArray[np.int64],
    *,
    count: int,
    distance: int,
) -> Nearest:
    """Find the nearest other image of each image in each split.

    Memory is proportional to N S; many equal hashes, as of black frames, cost nothing more.

    Args:
        hashes: uint64, shape (N,).
        splits: int64, shape (N,): 0 to S - 1.
        count: the number of splits, S.
        distance: the largest number of bits that may differ.
    """
    cells = _group(hashes, splits)
    best = np.full((len(cells.first), count), _NONE)
    for mask in _bands(distance + 1):
        _search_band(cells, cells.hashes & mask, best, distance)
    return _of_rows(cells, best, splits)


def _group(hashes: NDArray[np.uint64], splits: NDArray[np.int64]) -> _Cells:
    order = np.lexsort((splits, hashes))  # stable: rows of a cell stay in order
    ordered, of_split = hashes[order], splits[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (ordered[1:] != ordered[:-1]) | (of_split[1:] != of_split[:-1])
    starts = np.flatnonzero(begins)
    second = np.full(len(starts), -1, np.int64)
    has_two = np.diff(np.append(starts, len(order))) > 1
    second[has_two] = order[starts[has_two] + 1]
    of = np.empty(len(order), np.int64)
    of[order] = np.cumsum(begins) - 1
    return _Cells(ordered[starts], of_split[starts], order[starts], second, of)


def _bands(count: int) -> Iterator[np.uint64]:
    """The masks of `count` bands, each of every `count`-th bit.

    Neighboring bits of a hash are alike, so bands of neighbors would have few values, and many
    hashes with equal ones to compare.
    """
    for band in range(count):
        yield np.uint64(sum(1 << bit for bit in range(band, BITS, count)))


def _search_band(
    cells: _Cells, band: NDArray[np.uint64], best: NDArray[np.uint64], distance: int
) -> None:
    """Compare cells whose bands are equal: in the order of the bands, each with the k-th after it.

    The positions that still have an equal k-th neighbor become fewer with k.
    """
    order = np.argsort(band, kind="stable")
    ordered = band[order]
    at = np.arange(len(order))
    k = 0
    while len(at):
        k += 1
        at = at[at + k < len(order)]
        at = at[ordered[at] == ordered[at + k]]
        one, other = order[at], order[at + k]
        apart = count_bits(cells.hashes[one] ^ cells.hashes[other])
        near = apart <= distance
        _keep_nearest(cells, best, one[near], other[near], apart[near])
        _keep_nearest(cells, best, other[near], one[near], apart[near])


def _keep_nearest(
    cells: _Cells,
    best: NDArray[np.uint64],
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    apart: NDArray[np.uint64],
) -> None:
    found = (apart << _DISTANCE) | cells.first[other].astype(np.uint64)
    np.minimum.at(best, (one, cells.splits[other]), found)


def _of_rows(cells: _Cells, best: NDArray[np.uint64], splits: NDArray[np.int64]) -> Nearest:
    found = best[cells.of]
    rows = (found & np.uint64((1 << 40) - 1)).astype(np.int64)
    distances = (found >> _DISTANCE).astype(np.int64)
    rows[found == _NONE] = -1
    every = np.arange(len(splits))
    first, second = cells.first[cells.of], cells.second[cells.of]
    shared = second >= 0  # then the nearest of the own split has the same hash
    twin = np.where(first == every, second, first)
    rows[every[shared], splits[shared]] = twin[shared]
    distances[every[shared], splits[shared]] = 0
    return Nearest(rows, distances)


def count_bits(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Count the bits that are set in each number.

    Returns:
        uint64, of the same shape.
    """
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.asarray(np.bitwise_count(values), np.uint64)
    return _count_bits(values)


def _count_bits(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """In pairs of bits, in fours, in eights; the product adds up the eights.

    Source: Warren, "Hacker's Delight", section 5-1.
    """
    one, two, four = (np.uint64(n) for n in (1, 2, 4))
    values = values - ((values >> one) & np.uint64(0x5555555555555555))
    pairs = np.uint64(0x3333333333333333)
    values = (values & pairs) + ((values >> two) & pairs)
    values = (values + (values >> four)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.asarray((values * np.uint64(0x0101010101010101)) >> np.uint64(56))
