"""Ranks the images of one class by probability, for average precision and thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The images of one class by descending probability, without those with an ignored label.

    Images of equal probability form one step: no threshold separates them.

    Attributes:
        rows: int64 (n,), the images' rows in the table.
        positive: bool (n,).
        probabilities: floating (n,), descending.
        ends: int64 (k,), the last index in `rows` of each step.
    """

    rows: NDArray[np.int64]
    positive: NDArray[np.bool_]
    probabilities: NDArray[np.floating[Any]]
    ends: NDArray[np.int64]


def rank(labels: NDArray[np.int8], probabilities: NDArray[np.floating[Any]]) -> Ranking:
    """Rank one class.

    Args:
        labels: int8 (N,): 1 present, 0 absent, -1 ignored.
        probabilities: floating (N,).
    """
    counts = np.flatnonzero(labels >= 0)
    rows = counts[np.argsort(-probabilities[counts], kind="stable")]
    ordered = probabilities[rows]
    last = np.ones(len(rows), dtype=np.bool_)
    last[:-1] = ordered[1:] != ordered[:-1]
    return Ranking(rows, labels[rows] == 1, ordered, np.flatnonzero(last))
