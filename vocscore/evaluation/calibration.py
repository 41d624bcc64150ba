"""Calibration: reliability bins, expected calibration error and temperature scaling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15
"""As in Guo et al. 2017, 'On Calibration of Modern Neural Networks'."""
LEVEL = 0.95
"""Level of the interval of a bin's share."""
_WIDEST = 10.0
"""Temperatures from 1/10 to 10: on a small set that a model separates perfectly, the best is 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Decisions binned by probability, in bins of equal width; means of an empty bin are nan.

    Attributes:
        edges: float64 (B + 1,), from 0 to 1; a bin includes its lower edge, the last one also 1.
        decisions: int64 (B,), number of decisions, without ignored labels.
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

        Source: Guo et al. 2017, formula 5, with decisions of one class each instead of images.
        """
        used = self.decisions > 0
        if not used.any():
            return math.nan
        gaps = np.abs(self.share_present[used] - self.mean_probability[used])
        return float(np.average(gaps, weights=self.decisions[used]))

    @property
    def share_interval(self) -> NDArray[np.float64]:
        """Wilson interval of the share, float64 (B, 2), lower and upper; nan for an empty bin.

        See `wilson_interval`.
        """
        return wilson_interval(self.share_present, self.decisions)

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values; None for nan."""
        return {
            "edges": self.edges.tolist(),
            "decisions": self.decisions.tolist(),
            "mean_probability": [None if math.isnan(v) else v for v in self.mean_probability],
            "share_present": [None if math.isnan(v) else v for v in self.share_present],
        }


def wilson_interval(
    share: NDArray[np.float64], trials: NDArray[np.int64], *, level: float = LEVEL
) -> NDArray[np.float64]:
    """Wilson score interval of a probability, from the share of trials in which the event occurred.

    Its coverage also holds for few trials and for shares of 0 and 1, if trials are independent.
    The decisions of one image are not, so the interval of a bin may be too narrow.

    Args:
        share: float64, shape (B,), 0 to 1.
        trials: int64, shape (B,).
        level: of the interval, 0 to 1.

    Returns:
        float64, shape (B, 2), lower and upper; nan without a trial.

    Source: Wilson 1927, 'Probable inference, the law of succession, and statistical inference'.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):  # no trial
        weight = z * z / trials
        middle = (share + weight / 2) / (1 + weight)
        half = np.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    found = np.stack([middle - half, middle + half], axis=-1)
    return np.where((trials > 0)[:, None], found.clip(0, 1), np.nan)


def reliability(
    labels: NDArray[np.int8], probabilities: NDArray[np.floating[Any]], *, bins: int = BINS
) -> Reliability:
    """Compare probabilities with observed frequencies, over all decisions that count.

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
    """Fit the temperature, by which logits are divided, to the labels.

    It minimizes binary cross-entropy over all decisions that count (Guo et al. 2017, section
    4.2, with a sigmoid instead of the softmax). All classes share it, so the ranking of images
    within a class is unchanged.

    Args:
        labels: int8, shape (N, C): 1 present, 0 absent, -1 ignored. Validation data: on training
            data a model is overconfident.
        logits: floating, same shape.

    Returns:
        From 1/10 to 10; 1 if the labels have no positive or no negative, which give no
        information.
    """
    from scipy.optimize import minimize_scalar

    counts = labels >= 0
    truth, given = labels[counts] == 1, logits[counts].astype(np.float64)
    if truth.all() or not truth.any():
        return 1.0
    signed = np.where(truth, -given, given)  # a decision's cross-entropy is the softplus of this
    span = math.log(_WIDEST)
    found = minimize_scalar(
        lambda x: np.logaddexp(0, signed * math.exp(x)).mean(),  # x: minus the log of temperature
        bounds=(-span, span),
        method="bounded",
    )
    return float(f"{math.exp(-found.x):.6g}")
