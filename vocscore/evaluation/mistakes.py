"""Counts which labels are missed together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_AT_ONCE: Final = 1 << 14


def missed_together(labels: NDArray[np.int8], predicted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count images in which two classes are both present and both not predicted.

    With several labels per image there is no confusion matrix: a missed class was not mistaken
    for one other. Classes missed together show where small, hidden or crowded objects fail.

    Args:
        labels: int8, shape (N, C): 1 present, 0 absent, -1 ignored.
        predicted: bool, shape (N, C).

    Returns:
        int64, shape (C, C), symmetric; the diagonal counts all misses of a class.
    """
    together = np.zeros((labels.shape[1], labels.shape[1]), np.int64)
    for start in range(0, len(labels), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        # floating: such products are far faster than those of integers, and exact below 2**53
        missed = ((labels[rows] == 1) & ~predicted[rows]).astype(np.float64)
        together += (missed.T @ missed).astype(np.int64)
    return together
