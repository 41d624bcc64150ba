"""The loss of single decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMALLEST: Final = 1e-7
"""Probabilities are at least this far from 0 and 1 in a loss, as float32 has no more digits."""


def losses(labels: NDArray[np.int8], probabilities: NDArray[Any]) -> NDArray[np.float32]:
    """Binary cross entropy of decisions in nats.

    Args:
        labels: int8, any shape: 1 and 0; others have no loss.
        probabilities: floating, the same shape.

    Returns:
        float32, the same shape; nan where there is no label.
    """
    right = np.where(labels == 1, probabilities, 1 - probabilities).astype(np.float32)
    with np.errstate(invalid="ignore"):
        loss = -np.log(np.clip(right, _SMALLEST, 1))
    found: NDArray[np.float32] = np.where(labels >= 0, loss, np.float32(np.nan)).astype(np.float32)
    return found
