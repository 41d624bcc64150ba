"""Suspects: labels that a confident model contradicts.

Sources: Northcutt, Jiang and Chuang 2021, 'Confident Learning: Estimating Uncertainty in Dataset
Labels' (self-confidence); Thyagarajan et al. 2023, 'Identifying Incorrect Annotations in
Multi-Label Classification Data' (one score per class, averaged exponentially per image).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPHA: Final = 0.8
"""Weight of the lowest score in the score of an image, as in the paper."""
DISAGREES: Final = 0.5
"""Below this self-confidence, the other value of the label is more probable than its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """Labels that are more probably wrong than right, the most suspicious first.

    Attributes:
        images: int64 (S,), their images.
        classes: int64 (S,), their classes.
        self_confidence: float32 (S,), ascending.
        quality: float32 (N,), of every image: see `image_quality`.
    """

    images: NDArray[np.int64]
    classes: NDArray[np.int64]
    self_confidence: NDArray[np.float32]
    quality: NDArray[np.float32]


def self_confidence(labels: NDArray[np.int8], probabilities: NDArray[Any]) -> NDArray[np.float32]:
    """The probability that the model gives to each label as it is.

    Args:
        labels: int8, shape (N, C): 1 present, 0 absent, -1 ignored.
        probabilities: floating, shape (N, C), of images that the model was not trained on.

    Returns:
        float32, shape (N, C): p where the label is 1, 1 - p where it is 0, nan where it is -1.
    """
    exact = np.asarray(probabilities, np.float32)
    found = np.where(labels == 1, exact, np.float32(1) - exact)
    return np.where(labels >= 0, found, np.float32(np.nan))


def image_quality(confidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """One score per image: the exponential moving average of its scores, the largest first.

    Args:
        confidence: float32, shape (N, C), as `self_confidence` gives it; nan is left out.

    Returns:
        float32, shape (N,), 0 to 1, low where a label is probably wrong; nan for an image without
        labels.
    """
    falling = -np.sort(-confidence, axis=1)  # nan is last
    found = falling[:, 0].copy() if falling.shape[1] else np.full(len(falling), np.nan, np.float32)
    for scores in falling.T[1:]:
        step = np.float32(ALPHA) * scores + np.float32(1 - ALPHA) * found
        found = np.where(np.isnan(scores), found, step)
    return found


def find_suspects(labels: NDArray[np.int8], probabilities: NDArray[Any]) -> Suspects:
    """Find the labels whose self-confidence is below `DISAGREES`.

    Args:
        labels: as for `self_confidence`.
        probabilities: as for `self_confidence`.
    """
    confidence = self_confidence(labels, probabilities)
    images, classes = np.nonzero(confidence < DISAGREES)  # nan is not
    quality = image_quality(confidence)
    of_each = confidence[images, classes]
    order = np.lexsort((classes, images, quality[images], of_each))
    return Suspects(images[order], classes[order], of_each[order], quality)
