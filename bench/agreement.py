"""Whether contestants agree: probabilities, and decisions at the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vocscore.runtime.precision import MOST_CHANGED, MOST_DIFFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Threshold = float | tuple[float, ...]


@dataclass(frozen=True)
class Agreement:
    """How far a contestant is from the reference.

    Attributes:
        largest_difference: of a probability.
        changed: share of the decisions (images times classes) that differ.
        positive: share that is 'present' in the reference; if 0, `changed` means little.
        spread: standard deviation of a class's probability over the images, in the reference; the
            mean of all classes. A larger `largest_difference` would not even tell images apart.
    """

    largest_difference: float
    changed: float
    positive: float
    spread: float

    def __str__(self) -> str:
        """One sentence."""
        present = f"{self.positive:.1%} are" if self.positive else "none is"
        return (
            f"largest difference in probability {self.largest_difference:.4f} (they vary by "
            f"{self.spread:.3f} from image to image), "
            f"{self.changed:.2%} of the decisions changed ({present} 'present')"
        )


@dataclass(frozen=True)
class Limit:
    """The largest deviation at which a contestant still counts as doing the same work."""

    largest_difference: float
    changed: float

    def broken(self, found: Agreement) -> bool:
        """Whether a contestant exceeds it."""
        return (
            not found.largest_difference <= self.largest_difference  # 'not <=': NaN exceeds it too
            or not found.changed <= self.changed
        )


EXACT = Limit(0.001, 0.0005)
"""float32, summed in another order."""
FAITHFUL = Limit(MOST_DIFFERENCE, MOST_CHANGED)
"""The default precision of `score`."""
BF16 = Limit(0.1, 0.01)
"""bf16 on request; the deviation is printed."""
QUANTIZED = Limit(0.5, 0.01)
"""int8: decisions must agree; a probability may move."""


def agreement(
    truth: NDArray[np.float32], found: NDArray[np.float32], *, threshold: Threshold
) -> Agreement:
    """Compare probabilities of shape (N, C), in the same order.

    A class is present at or above the threshold, which is one number or one per class.
    """
    if truth.shape != found.shape:
        raise ValueError(f"{found.shape} probabilities, not {truth.shape}")
    at = np.asarray(threshold, np.float32)
    present = truth >= at
    return Agreement(
        float(np.abs(truth - found).max()),
        float((present != (found >= at)).mean()),
        float(present.mean()),
        float(truth.std(0).mean()),
    )


def compare(
    truth: NDArray[np.float32],
    answers: Mapping[str, NDArray[np.float32]],
    *,
    limits: Mapping[str, Limit],
    threshold: Threshold,
) -> tuple[dict[str, Agreement], dict[str, str]]:
    """Compare every contestant's probabilities with the reference, all of shape (N, C).

    Returns:
        Contestant -> agreement; and contestant -> why it is refused, for those beyond their limit.
    """
    found, refused = {}, {}
    for name, one in answers.items():
        found[name] = agreement(truth, one, threshold=threshold)
        if limits[name].broken(found[name]):
            refused[name] = f"refused: {found[name]}; beyond {limits[name]}"
    return found, refused
