"""Which labels are missed together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def missed_together(labels: NDArray[np.int8], predicted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count images in which two classes are both there and both not predicted.

    Several labels an image leave no confusion matrix: a missed class was not taken for one
    certain other. What is missed together shows where small, hidden or crowded things fail.

    Args:
        labels: int8, shape (N, C): 1 present, 0 absent, -1 ignored.
        predicted: bool, shape (N, C).

    Returns:
        int64, shape (C, C), symmetric; on the diagonal, how often a class is missed at all.
    """
    missed = ((labels == 1) & ~predicted).astype(np.int64)
    together: NDArray[np.int64] = missed.T @ missed
    return together
