"""Whether a probability of 0.7 is right 7 times in 10, and one number that makes it so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15
"""As in Guo et al. 2017, 'On Calibration of Modern Neural Networks'."""
_WIDEST = 10.0
"""Temperatures from 1/10 to 10: a small set that a model parts perfectly asks for 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Decisions by their probability, in bins of equal width; an empty bin has nan for its means.

    Attributes:
        edges: float64 (B + 1,), from 0 to 1; a bin holds its lower edge, the last one 1 too.
        decisions: int64 (B,), how many there are; ignored labels are not among them.
        mean_probability: float64 (B,).
        share_present: float64 (B,), of the decisions whose label is 1.
    """

    edges: NDArray[np.float64]
    decisions: NDArray[np.int64]
    mean_probability: NDArray[np.float64]
    share_present: NDArray[np.float64]

    @property
    def expected_calibration_error(self) -> float:
        """Mean over decisions of |share present - mean probability| of the bin; nan without any.

        Source: Guo et al. 2017, formula 5, with decisions of one class each in place of images.
        """
        used = self.decisions > 0
        if not used.any():
            return math.nan
        gaps = np.abs(self.share_present[used] - self.mean_probability[used])
        return float(np.average(gaps, weights=self.decisions[used]))

    def to_json(self) -> dict[str, Any]:
        """Plain values; None stands for nan."""
        return {
            "edges": self.edges.tolist(),
            "decisions": self.decisions.tolist(),
            "mean_probability": [None if math.isnan(v) else v for v in self.mean_probability],
            "share_present": [None if math.isnan(v) else v for v in self.share_present],
        }


def reliability(
    labels: NDArray[np.int8], probabilities: NDArray[np.floating[Any]], *, bins: int = BINS
) -> Reliability:
    """Compare probabilities with how often they come true, over all decisions that count.

    Args:
        labels: int8, any shape: 1 present, 0 absent, -1 ignored.
        probabilities: floating, same shape, 0 to 1.
        bins: how many.
    """
    counts = labels >= 0
    truth, guess = labels[counts] == 1, probabilities[counts].astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], guess, side="right")
    decisions = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0/0: an empty bin has no mean
        means = np.bincount(place, weights=guess, minlength=bins) / decisions
        shares = np.bincount(place, weights=truth, minlength=bins) / decisions
    return Reliability(edges, decisions, means, shares)


def fit_temperature(labels: NDArray[np.int8], logits: NDArray[np.floating[Any]]) -> float:
    """The number to divide logits by so that their probabilities fit the labels best.

    It has the least binary cross-entropy over all decisions that count (Guo et al. 2017, section
    4.2, with a sigmoid in place of the softmax). One number for all classes: the order of
    images within a class stays.

    Args:
        labels: int8, shape (N, C): 1 present, 0 absent, -1 ignored. Validation data: on training
            data a model looks surer than it should be.
        logits: floating, same shape.

    Returns:
        From 1/10 to 10; 1 where the labels hold no positive or no negative, which tell nothing.
    """
    from scipy.optimize import minimize_scalar

    counts = labels >= 0
    truth, given = labels[counts] == 1, logits[counts].astype(np.float64)
    if truth.all() or not truth.any():
        return 1.0
    signed = np.where(truth, -given, given)  # the cross-entropy of a decision is softplus of it
    span = math.log(_WIDEST)
    found = minimize_scalar(
        lambda x: np.logaddexp(0, signed * math.exp(x)).mean(),  # x: minus the log of temperature
        bounds=(-span, span),
        method="bounded",
    )
    return float(f"{math.exp(-found.x):.6g}")
