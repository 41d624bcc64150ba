"""Counts which labels are missed together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    missed = ((labels == 1) & ~predicted).astype(np.int64)
    together: NDArray[np.int64] = missed.T @ missed
    return together
