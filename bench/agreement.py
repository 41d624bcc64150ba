"""Whether two contestants say the same: probabilities, and decisions at the threshold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from vocscore.runtime.precision import MOST_CHANGED, MOST_DIFFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Threshold = float | tuple[float, ...]


@dataclass(frozen=True)
class Agreement:
    """One contestant beside the truth.

    Attributes:
        largest_difference: in probability.
        changed: share of the decisions (images times classes) that are others, 0 to 1.
        positive: share of the decisions that are 'present', by the truth; where it is 0, `changed`
            says little.
    """

    largest_difference: float
    changed: float
    positive: float

    def to_json(self) -> dict[str, float]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """For a person."""
        present = f"{self.positive:.1%} are" if self.positive else "none is"
        return (
            f"largest difference in probability {self.largest_difference:.4f}, "
            f"{self.changed:.2%} of the decisions changed ({present} 'present')"
        )


@dataclass(frozen=True)
class Limit:
    """What a contestant may differ by and still be said to do the same work."""

    largest_difference: float
    changed: float

    def broken(self, found: Agreement) -> bool:
        """Whether a contestant is beyond it."""
        return (
            not found.largest_difference <= self.largest_difference  # 'not': NaN is beyond it too
            or not found.changed <= self.changed
        )


EXACT = Limit(0.001, 0.0005)
"""float32, summed in another order."""
FAITHFUL = Limit(MOST_DIFFERENCE, MOST_CHANGED)
"""The default precision of `score`."""
BF16 = Limit(0.1, 0.01)
"""bf16 where it is asked for; how far it is off is what is to be seen."""
QUANTIZED = Limit(0.5, 0.01)
"""int8: decisions count; a probability may move."""


def agreement(
    truth: NDArray[np.float32],
    found: NDArray[np.float32],
    *,
    threshold: Threshold,
) -> Agreement:
    """Compare probabilities.

    Args:
        truth: shape (N, C).
        found: likewise, in the same order.
        threshold: a class is present from this probability on; one number, or one a class.

    Raises:
        ValueError: the shapes are not equal.
    """
    if truth.shape != found.shape:
        raise ValueError(f"{found.shape} probabilities, not {truth.shape}")
    at = np.asarray(threshold)
    present = truth >= at
    return Agreement(
        float(np.abs(truth - found).max()),
        float((present != (found >= at)).mean()),
        float(present.mean()),
    )


@dataclass(frozen=True)
class Compared:
    """What a comparison of several contestants came to.

    Attributes:
        found: contestant -> how far it is from the truth.
        refused: contestant that does other work -> the reason.
    """

    found: dict[str, Agreement]
    refused: dict[str, str]


def compare(
    truth: NDArray[np.float32],
    answers: Mapping[str, NDArray[np.float32]],
    *,
    limits: Mapping[str, Limit],
    threshold: Threshold,
) -> Compared:
    """Compare every contestant's answers with the truth.

    Args:
        truth: shape (N, C).
        answers: contestant -> likewise.
        limits: contestant -> what it may differ by.
        threshold: as for `agreement`.
    """
    found, refused = {}, {}
    for name, one in answers.items():
        found[name] = agreement(truth, one, threshold=threshold)
        if limits[name].broken(found[name]):
            refused[name] = f"refused: {found[name]}; beyond {limits[name]}"
    return Compared(found, refused)
