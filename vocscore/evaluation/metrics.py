"""The metrics: IoU, precision, recall, F1 and average precision, under several averages.

Three rules hold for every metric:

- A label of -1 (only 'difficult' instances) is ignored: it is neither a positive nor a negative,
  and a prediction there is neither right nor wrong.
- A class is predicted if probability >= threshold, ties included.
- 0/0 counts as 0, scikit-learn's default: an image without labels and without predictions adds 0
  to the average over images; a class without either adds 0 to the average over classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vocscore.errors import EvalError
from vocscore.evaluation.average_precision import average_precisions, mean_defined
from vocscore.evaluation.averages import Averages, ratios
from vocscore.models.probabilities import decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vocscore.evaluation.averages import Ratios

__all__ = ["Averages", "PerClass", "Report", "plain", "report", "report_decided"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PerClass:
    """Metrics per class, in column order; every array has shape (C,).

    Attributes:
        positives: int64, images where the class is present.
        negatives: int64, images where it is absent.
        iou: float64, intersection over union of the images labeled and the images predicted.
        precision: float64.
        recall: float64.
        f1: float64.
    """

    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    iou: Floats
    precision: Floats
    recall: Floats
    f1: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """All metrics of one comparison.

    Average precision is nan for a class without positives, which is left out of the means over
    classes; without any positive the means are nan.

    Attributes:
        images: number of images compared.
        threshold: the probability from which on a class counts as predicted: one number, one per
            class, or None if the decisions were given.
        samples: averaged over images (scikit-learn's average='samples').
        micro: over all decisions at once.
        macro: the plain mean over all classes, including those without positives.
        per_class: each class separately.
        average_precision: float64 (C,), all points (scikit-learn's average_precision_score).
        average_precision_voc2007: float64 (C,), mean of the best precision at 11 recalls.
        average_precision_voc2010: float64 (C,), area under the precision made monotonic.
    """

    images: int
    threshold: float | tuple[float, ...] | None
    samples: Averages
    micro: Averages
    macro: Averages
    per_class: PerClass
    average_precision: Floats
    average_precision_voc2007: Floats
    average_precision_voc2010: Floats

    @property
    def mean_average_precision(self) -> float:
        """Mean over classes of `average_precision`."""
        return mean_defined(self.average_precision)

    @property
    def mean_average_precision_voc2007(self) -> float:
        """Mean over classes of `average_precision_voc2007`."""
        return mean_defined(self.average_precision_voc2007)

    @property
    def mean_average_precision_voc2010(self) -> float:
        """Mean over classes of `average_precision_voc2010`."""
        return mean_defined(self.average_precision_voc2010)

    @property
    def chance(self) -> float:
        """The expected mean average precision of random guessing: the mean class prevalence."""
        positives, negatives = self.per_class.positives, self.per_class.negatives
        prevalence = positives / np.maximum(positives + negatives, 1)
        return mean_defined(np.where(positives > 0, prevalence, np.nan))

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """Convert to plain values; None for nan.

        Args:
            classes: the names, in column order.
        """
        one = self.per_class
        return {
            "pictures": self.images,
            "threshold": (
                dict(zip(classes, self.threshold, strict=True))
                if isinstance(self.threshold, tuple)
                else self.threshold
            ),
            "mean_average_precision": plain(self.mean_average_precision),
            "mean_average_precision_voc2007": plain(self.mean_average_precision_voc2007),
            "mean_average_precision_voc2010": plain(self.mean_average_precision_voc2010),
            "chance": plain(self.chance),
            "samples": self.samples.to_json(),
            "micro": self.micro.to_json(),
            "macro": self.macro.to_json(),
            "classes": {
                name: {
                    "positives": int(one.positives[c]),
                    "negatives": int(one.negatives[c]),
                    "average_precision": plain(self.average_precision[c]),
                    "average_precision_voc2007": plain(self.average_precision_voc2007[c]),
                    "average_precision_voc2010": plain(self.average_precision_voc2010[c]),
                    "iou": float(one.iou[c]),
                    "precision": float(one.precision[c]),
                    "recall": float(one.recall[c]),
                    "f1": float(one.f1[c]),
                }
                for c, name in enumerate(classes)
            },
        }


def report(
    labels: NDArray[np.int8],
    probabilities: NDArray[np.floating[Any]],
    *,
    threshold: float | Sequence[float],
) -> Report:
    """Compare probabilities with labels.

    Args:
        labels: int8, shape (N, C): 1 present, 0 absent, -1 only difficult (ignored).
        probabilities: floating, shape (N, C), from 0 to 1.
        threshold: the probability from which on a class counts as predicted; one number, or one
            per class.

    Raises:
        EvalError: the shapes differ or are empty, a label is not -1, 0 or 1, or a probability is
            not a number from 0 to 1.
    """
    _check(labels, probabilities)
    of_all = threshold if isinstance(threshold, (int, float)) else tuple(threshold)
    return report_decided(labels, probabilities, decide(probabilities, threshold), threshold=of_all)


def report_decided(
    labels: NDArray[np.int8],
    probabilities: NDArray[np.floating[Any]],
    predicted: NDArray[np.bool_],
    *,
    threshold: float | tuple[float, ...] | None,
) -> Report:
    """Compare probabilities, and the decisions made with them, with labels.

    Args:
        labels: as for `report`.
        probabilities: as for `report`.
        predicted: bool, shape (N, C).
        threshold: the source of the decisions; see `Report`.

    Raises:
        EvalError: as for `report`.
    """
    _check(labels, probabilities)
    truth = labels == 1
    guess = predicted & (labels >= 0)
    both = truth & guess
    by_class = ratios(both.sum(0), truth.sum(0), guess.sum(0))
    points = np.array(
        [average_precisions(*pair) for pair in zip(labels.T, probabilities.T, strict=True)]
    )
    return Report(
        images=len(labels),
        threshold=threshold,
        samples=_mean(ratios(both.sum(1), truth.sum(1), guess.sum(1))),
        micro=_mean(ratios(both.sum(), truth.sum(), guess.sum())),
        macro=_mean(by_class),
        per_class=PerClass(truth.sum(0), (labels == 0).sum(0), *by_class),
        average_precision=points[:, 0],
        average_precision_voc2007=points[:, 1],
        average_precision_voc2010=points[:, 2],
    )


def _check(labels: NDArray[np.int8], probabilities: NDArray[np.floating[Any]]) -> None:
    """Raise an error for input that has no metrics."""
    if labels.ndim != 2 or labels.shape != probabilities.shape or labels.size == 0:
        raise EvalError(
            f"labels {labels.shape} and probabilities {probabilities.shape} must have the same "
            "shape (images, classes), with at least one of each."
        )
    if labels.min() < -1 or labels.max() > 1:
        raise EvalError(
            f"labels must be -1, 0 or 1, found {labels.min()} to {labels.max()}: pack again."
        )
    fine = (probabilities >= 0) & (probabilities <= 1)
    if not fine.all():
        row, column = np.argwhere(~fine)[0]
        raise EvalError(
            f"row {row}, class {column}: {probabilities[row, column]} is not a probability; logits "
            "must go through a sigmoid first."
        )


def _mean(values: Ratios) -> Averages:
    return Averages(*(float(value.mean()) for value in values))


def plain(value: float) -> float | None:
    """Convert a number for JSON, which has no nan: nan becomes None."""
    return None if math.isnan(value) else float(value)
