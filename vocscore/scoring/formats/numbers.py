"""Rounds float32 numbers: to few digits that still read back exactly, or to some decimals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMALLEST = 2.0**-149
"""The smallest positive float32; its decimal exponent is -45."""
_POWERS_OF_TEN = 10.0 ** np.arange(8 + 45 + 1)


def shortened(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Round numbers to the fewest of 7, 8 or 9 digits that still read back as the same float32.

    Formatted with '%.9g' or '%r' the result has those digits. It is NumPy's shortest form at twice
    the speed, except for one number in 100,000, which gets one digit more.

    Args:
        values: any shape; numbers of 1e8 and more keep all of their digits.

    Returns:
        float64, same shape.
    """
    exact = values.astype(np.float64)
    exponents = np.floor(np.log10(np.maximum(np.abs(exact), _SMALLEST))).astype(np.int64)
    exponents = np.minimum(exponents, 6)  # probabilities are 1 at most, but not logits
    nine = _POWERS_OF_TEN[8 - exponents]
    result: NDArray[np.float64] = np.rint(exact * nine) / nine
    for digits in (8, 7):
        scale = _POWERS_OF_TEN[digits - 1 - exponents]
        rounded = np.rint(exact * scale) / scale
        result = np.where(rounded.astype(np.float32) == values, rounded, result)
    return result


@dataclass(frozen=True, slots=True)
class Rounding:
    """How numbers are written as text.

    Attributes:
        decimals: digits after the point, always as many; None: as many digits as are needed to
            read back the same float32.
    """

    decimals: int | None = None

    @property
    def template(self) -> str:
        """Formats one of the `values`."""
        return "%.9g" if self.decimals is None else f"%.{self.decimals}f"

    def values(self, numbers: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what is formatted: float64, the same shape.

        Args:
            numbers: 0 to 1, any shape.
        """
        return shortened(numbers) if self.decimals is None else numbers.astype(np.float64)

    def rounded(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the float32 that reading the text gives.

        Args:
            numbers: 0 to 1, any shape.
        """
        if self.decimals is None:
            return numbers
        # exact: a float32 has 24 bits and 10**9 has 21 in addition to powers of two, a float64 53
        scale = 10.0**self.decimals
        found: NDArray[np.float32] = (np.rint(numbers.astype(np.float64) * scale) / scale).astype(
            np.float32
        )
        return found

    def as_decided(
        self,
        rounded: NDArray[np.float32],
        decided: NDArray[np.bool_],
        thresholds: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Undo rounding where it has moved a number across the threshold that decided before.

        The result is rounded to the same text: the threshold and its predecessor are between the
        exact number and the rounded one. Where they are not, the decision had another reason, and
        the number stays.

        Args:
            rounded: shape (N, C).
            decided: shape (N, C): whether the exact number was at or above the threshold.
            thresholds: shape (C,).

        Returns:
            float32, shape (N, C).
        """
        below = np.nextafter(thresholds, np.float32(0))
        moved = np.where(decided, np.maximum(rounded, thresholds), np.minimum(rounded, below))
        same = self.rounded(moved) == self.rounded(rounded)
        return np.where(same, moved, rounded)
