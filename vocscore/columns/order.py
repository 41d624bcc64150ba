"""Sorts many float32 numbers fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INFINITY: Final = np.uint32(0x7F800000)
"""The bits of infinity; those of smaller numbers from 0 on are smaller, in the same order."""
_LAST: Final = np.uint32(0xFFFFFFFF)


def order_of(values: NDArray[np.float32], *, descending: bool = False) -> NDArray[np.int64]:
    """The order of numbers; equal ones stay in place.

    NumPy sorts numbers of 16 bits by counting, so two passes over halves of the bits take a fifth
    of the time of one pass over the numbers.

    Args:
        values: float32 (N,), 0 or greater, or nan.
        descending: the largest first.

    Returns:
        int64 (N,), the indices in order; nan is last, either way.
    """
    missing = np.isnan(values)
    bits = (values + np.float32(0)).view(np.uint32)  # 0 has another pattern with a minus sign
    bits = _INFINITY - bits if descending else bits.copy()
    bits[missing] = _LAST
    low = np.argsort(bits.astype(np.uint16), kind="stable")
    high = np.argsort((bits >> np.uint32(16)).astype(np.uint16)[low], kind="stable")
    order: NDArray[np.int64] = low[high]
    return order
