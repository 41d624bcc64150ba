"""Percentile bootstrap intervals: how much metrics would vary with other images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.evaluation.average_precision import resampled_average_precisions
from vocscore.evaluation.averages import ratios
from vocscore.evaluation.metrics import plain
from vocscore.evaluation.ranking import rank

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

LEVEL = 0.95
POINTS = (
    "average_precision",
    "average_precision_voc2007",
    "average_precision_voc2010",
)
RATIOS = ("iou", "precision", "recall", "f1")
_NUMBERS_AT_ONCE = 1 << 20  # weights: few enough for one class's data to fit the CPU caches


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """The interval of each metric: the middle `LEVEL` of the resamples.

    The last axis of each array has size 2, the lower and the upper value; nan if no resample
    defines the metric. A metric that only some resamples define (average precision, by those
    with a positive) has the interval over these.

    Attributes:
        resamples: how many were drawn.
        seed: of the draw.
        mean_average_precision: float64, shape (3, 2), in the order of `POINTS`.
        average_precision: float64, shape (3, C, 2).
        samples: float64, shape (4, 2), in the order of `RATIOS`.
        micro: the same.
        macro: the same.
    """

    resamples: int
    seed: int
    mean_average_precision: NDArray[np.float64]
    average_precision: NDArray[np.float64]
    samples: NDArray[np.float64]
    micro: NDArray[np.float64]
    macro: NDArray[np.float64]

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """Convert to plain values, [lower, upper] each, named as in `Report.to_json`; None for nan.

        Args:
            classes: the names, in column order.
        """
        means = zip(POINTS, self.mean_average_precision, strict=True)
        one = self.average_precision
        return {
            "level": LEVEL,
            "resamples": self.resamples,
            "seed": self.seed,
            **{f"mean_{name}": _pair(pair) for name, pair in means},
            **{
                average: dict(zip(RATIOS, map(_pair, getattr(self, average)), strict=True))
                for average in ("samples", "micro", "macro")
            },
            "classes": {
                name: dict(zip(POINTS, map(_pair, one[:, c]), strict=True))
                for c, name in enumerate(classes)
            },
        }


def bootstrap(
    labels: NDArray[np.int8],
    probabilities: NDArray[np.floating[Any]],
    predicted: NDArray[np.bool_],
    *,
    resamples: int,
    seed: int,
) -> Intervals:
    """Compute every metric on many resamples of the images, drawn with replacement.

    Images are drawn with all their labels, since the labels of one image are not independent.
    The model is fixed, so an interval shows the variation over images of the same kind, not over
    trainings. A class without positives in a resample is left out of its means of average
    precision, as in `Report`.

    Args:
        labels: int8, shape (N, C): 1 present, 0 absent, -1 ignored.
        probabilities: floating, shape (N, C).
        predicted: bool, shape (N, C).
        resamples: how many, at least 1.
        seed: equal seeds draw equal resamples.

    Source: Efron and Tibshirani 1993, 'An Introduction to the Bootstrap', chapter 13.
    """
    rankings = [rank(*columns) for columns in zip(labels.T, probabilities.T, strict=True)]
    counts = _Counts(labels, predicted)
    points, averages = [], []
    for weights in _weights(len(labels), resamples, seed=seed):
        points.append(np.stack([resampled_average_precisions(r, weights) for r in rankings], 1))
        averages.append(counts.averages(weights))
    every = np.concatenate(points, axis=2)
    figures = np.concatenate(averages, axis=2)
    return Intervals(
        resamples,
        seed,
        _interval(_mean_over_classes(every)),
        _interval(every),
        *(_interval(figure) for figure in figures),
    )


def bootstrap_difference(
    labels: NDArray[np.int8],
    first: tuple[NDArray[np.floating[Any]], NDArray[np.bool_]],
    second: tuple[NDArray[np.floating[Any]], NDArray[np.bool_]],
    *,
    resamples: int,
    seed: int,
) -> Intervals:
    """Compute the difference of every metric of two models, second minus first.

    Both are evaluated on the same resamples: most of the variation over images is common to both
    and cancels.

    Args:
        labels: as for `bootstrap`.
        first: probabilities and decisions of the first model, as for `bootstrap`.
        second: those of the second.
        resamples: as for `bootstrap`.
        seed: as for `bootstrap`; equal seeds draw the same resamples there and here.

    Returns:
        The intervals of the differences, -1 to 1.
    """
    rankings = [
        [rank(*columns) for columns in zip(labels.T, probabilities.T, strict=True)]
        for probabilities, _ in (first, second)
    ]
    counts = [_Counts(labels, predicted) for _, predicted in (first, second)]
    points, averages = [], []
    for weights in _weights(len(labels), resamples, seed=seed):
        one, other = (
            np.stack([resampled_average_precisions(r, weights) for r in ranked], 1)
            for ranked in rankings
        )
        points.append(other - one)
        averages.append(counts[1].averages(weights) - counts[0].averages(weights))
    every = np.concatenate(points, axis=2)
    figures = np.concatenate(averages, axis=2)
    return Intervals(
        resamples,
        seed,
        _interval(_mean_over_classes(every)),
        _interval(every),
        *(_interval(figure) for figure in figures),
    )


class _Counts:
    """The counts per image behind IoU, precision, recall and F1."""

    def __init__(self, labels: NDArray[np.int8], predicted: NDArray[np.bool_]) -> None:
        truth, guess = labels == 1, predicted & (labels >= 0)
        three = (truth & guess, truth, guess)
        self._decisions = [table.astype(np.float64) for table in three]
        self._of_images = np.stack(ratios(*(table.sum(axis=1) for table in three)))

    def averages(self, weights: NDArray[np.int32]) -> NDArray[np.float64]:
        """float64, shape (3, 4, R): samples, micro and macro averages of each resample."""
        images = weights.astype(np.float64)
        samples = self._of_images @ images / len(images)
        of_classes = [table.T @ images for table in self._decisions]
        micro = ratios(*(table.sum(axis=0) for table in of_classes))
        macro = [ratio.mean(axis=0) for ratio in ratios(*of_classes)]
        return np.stack([samples, np.stack(micro), np.stack(macro)])


def _weights(images: int, resamples: int, *, seed: int) -> Iterator[NDArray[np.int32]]:
    """How often each image is drawn, shape (images, R); the Rs sum to `resamples`."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _NUMBERS_AT_ONCE // images)
    for start in range(0, resamples, at_once):
        drawn = min(at_once, resamples - start)
        rows = generator.integers(0, images, (drawn, images))
        rows += images * np.arange(drawn)[:, None]
        times = np.bincount(rows.ravel(), minlength=drawn * images)
        yield np.ascontiguousarray(times.reshape(drawn, images).T, dtype=np.int32)


def _mean_over_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of values that are not nan along axis 1; nan if all are."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.where(defined, values, 0).sum(axis=1) / defined.sum(axis=1)
    return mean


def _interval(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The two percentiles along the last axis, without nan."""
    flat = values.reshape(-1, values.shape[-1])
    tail = 50 * (1 - LEVEL)
    found = np.full((len(flat), 2), np.nan)
    for place, row in zip(found, flat, strict=True):
        defined = row[~np.isnan(row)]
        if defined.size:
            place[:] = np.percentile(defined, [tail, 100 - tail])
    return found.reshape(*values.shape[:-1], 2)


def _pair(pair: NDArray[np.float64]) -> list[float | None]:
    return [plain(float(value)) for value in pair]
