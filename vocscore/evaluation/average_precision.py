"""Average precision of one class in three definitions, for the images and for resamples of them.

Images of equal probability form one step, as in scikit-learn, so that no value depends on the order
of the images. (The devkit's loops take them one by one, in file order; without ties the result is
the same.)

Source: VOCdevkit 2007, `VOCcode/VOCevalcls.m` (the recalls are exact tenths here); VOCdevkit 2010,
`VOCcode/VOCap.m`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.evaluation.ranking import Ranking

_TENTHS = np.arange(11) / 10


def average_precisions(
    labels: NDArray[np.int8], probabilities: NDArray[np.floating[Any]]
) -> tuple[float, float, float]:
    """Average precision of one class.

    Args:
        labels: int8, shape (N,); -1 is ignored.
        probabilities: floating, shape (N,).

    Returns:
        All points; VOC 2007's 11 points; VOC 2010's monotonic area. nan without a positive.
    """
    from sklearn.metrics import precision_recall_curve

    counts = labels >= 0
    positive = labels[counts] == 1
    if not positive.any():
        return math.nan, math.nan, math.nan
    precision, recall, _ = precision_recall_curve(positive, probabilities[counts])
    # From the highest threshold down, without scikit-learn's closing point (recall 0, precision 1):
    # it belongs to no image, and VOC has no such point.
    precision, recall = precision[-2::-1], recall[-2::-1]
    best = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0)
    first = np.searchsorted(recall, _TENTHS)
    return float(steps @ precision), float(best[first].mean()), float(steps @ best)


def resampled_average_precisions(
    ranking: Ranking, weights: NDArray[np.int32]
) -> NDArray[np.float64]:
    """The same three values of one class, for many resamples at once.

    Only steps with a positive matter: between them precision falls and recall is constant.

    Args:
        ranking: the class.
        weights: int32, shape (N, R): how often each image is in each resample.

    Returns:
        float64, shape (3, R); nan where a resample has no positive.
    """
    hits = np.cumsum(ranking.positive)[ranking.ends]
    with_positive = np.flatnonzero(np.diff(hits, prepend=0))
    if not len(with_positive):
        return np.full((3, weights.shape[1]), np.nan)
    starts = np.append(0, ranking.ends[with_positive[:-1]] + 1)
    seen = weights[ranking.rows[: ranking.ends[with_positive[-1]] + 1]]
    seen = np.cumsum(np.add.reduceat(seen, starts), axis=0)
    positive = weights[ranking.rows[ranking.positive]]
    positive = np.cumsum(np.add.reduceat(positive, np.append(0, hits[with_positive[:-1]])), axis=0)
    with np.errstate(invalid="ignore"):  # 0/0: no positive in a resample
        recall = positive / positive[-1]
    precision = positive / np.maximum(seen, 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0, axis=0)
    eleven = np.zeros(weights.shape[1])
    for tenth in _TENTHS:
        first = np.minimum((recall < tenth).sum(axis=0), len(recall) - 1)
        eleven += best[first, np.arange(len(eleven))]
    none = np.isnan(recall[-1])
    figures = [
        (steps * precision).sum(0),
        np.where(none, np.nan, eleven / 11),
        (steps * best).sum(0),
    ]
    return np.stack(figures)


def mean_defined(values: NDArray[np.float64]) -> float:
    """Mean of the values that are not nan; nan if all are."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else math.nan
