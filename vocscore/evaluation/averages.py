"""IoU, precision, recall and F1 from counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ratios = tuple[
        NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]
    ]


@dataclass(frozen=True, slots=True)
class Averages:
    """IoU, precision, recall and F1 under one way of averaging, each from 0 to 1."""

    iou: float
    precision: float
    recall: float
    f1: float

    def to_json(self) -> dict[str, float]:
        """Convert to plain values by name."""
        return {name: float(getattr(self, name)) for name in self.__slots__}


def ratios(both: Any, truth: Any, guess: Any) -> Ratios:
    """IoU, precision, recall and F1; 0 where the denominator is 0.

    Args:
        both: number of decisions labeled and predicted; a number or an array, like the others.
        truth: number labeled.
        guess: number predicted.

    Returns:
        Four float64 of the shape of the counts.
    """
    return (
        _share(both, truth + guess - both),
        _share(both, guess),
        _share(both, truth),
        _share(2 * both, truth + guess),
    )


def _share(part: Any, whole: Any) -> NDArray[np.float64]:
    """Part / whole; 0 where the whole is 0."""
    return np.asarray(part / np.maximum(whole, 1), dtype=np.float64)
