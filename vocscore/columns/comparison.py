"""Compares two predictions of the same images: decisions that changed, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vocscore.evaluation.bootstrap import LEVEL, RATIOS
from vocscore.evaluation.metrics import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.evaluation.bootstrap import Intervals
    from vocscore.evaluation.metrics import Report

_AVERAGES: Final = ("samples", "micro", "macro")


@dataclass(frozen=True, slots=True, eq=False)
class JudgedChanges:
    """What changed for the images that neither model was trained on.

    Attributes:
        places: int64 (H,), these images among those compared.
        labels: int8 (H, C).
        first: metrics of the first predictions.
        second: metrics of the second.
        fixed: int64 (C,), mistakes of the first that the second does not make.
        broken: int64 (C,), mistakes of the second that the first does not make.
        intervals: of the differences, second minus first; None if not requested.
    """

    places: NDArray[np.int64]
    labels: NDArray[np.int8]
    first: Report
    second: Report
    fixed: NDArray[np.int64]
    broken: NDArray[np.int64]
    intervals: Intervals | None


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two predictions of the same images.

    Attributes:
        classes: those of both, in the order of the first.
        other_classes: of only one of them.
        rows: int64 (M, 2), the row of each image in the first and in the second; only images with
            probabilities in both.
        only_first: number of images without a row in the second.
        only_second: number of images without a row in the first.
        failed: images with an error in: only the first, only the second, both.
        predicted: bool (2, M, C), the decisions.
        changed: int64 (K, 2): image (of M) and class of each decision that differs.
        mean_moved: mean absolute difference of the probabilities.
        most_moved: the greatest one.
        gained: int64 (C,), images that only the second predicts.
        lost: int64 (C,), images that only the first predicts.
        left_out: labeled images that one of the models was trained on, which are not judged.
        incomplete: images without all probabilities, which are not judged.
        judged: of the other labeled images; None if there is none.
    """

    classes: tuple[str, ...]
    other_classes: tuple[str, ...]
    rows: NDArray[np.int64]
    only_first: int
    only_second: int
    failed: tuple[int, int, int]
    predicted: NDArray[np.bool_]
    changed: NDArray[np.int64]
    mean_moved: float
    most_moved: float
    gained: NDArray[np.int64]
    lost: NDArray[np.int64]
    left_out: int
    incomplete: int
    judged: JudgedChanges | None

    @property
    def changed_images(self) -> int:
        """Number of images with a decision that differs."""
        return len(np.unique(self.changed[:, 0]))

    def to_json(self) -> dict[str, Any]:
        """Return plain values; without single decisions."""
        judged = self.judged
        return {
            "images": len(self.rows),
            "only_first": self.only_first,
            "only_second": self.only_second,
            "failed_only_first": self.failed[0],
            "failed_only_second": self.failed[1],
            "failed_both": self.failed[2],
            "other_classes": list(self.other_classes),
            "changed_decisions": len(self.changed),
            "changed_images": self.changed_images,
            "mean_difference": plain(self.mean_moved),
            "largest_difference": plain(self.most_moved),
            "classes": {name: self._of_class(c) for c, name in enumerate(self.classes)},
            "left_out_trained_on": self.left_out,
            "without_all_probabilities": self.incomplete,
            "judged": None if judged is None else _judged_json(judged),
        }

    def _of_class(self, c: int) -> dict[str, Any]:
        found: dict[str, Any] = {"gained": int(self.gained[c]), "lost": int(self.lost[c])}
        if self.judged is not None:
            found.update(class_figures(self.judged, c))
        return found


def class_figures(judged: JudgedChanges, c: int) -> dict[str, Any]:
    """The figures of a class as plain values; None for nan."""
    first, second = (float(report.average_precision[c]) for report in (judged.first, judged.second))
    low, high = (
        (float("nan"),) * 2
        if judged.intervals is None
        else (float(end) for end in judged.intervals.average_precision[0, c])
    )
    return {
        "positives": int(judged.first.per_class.positives[c]),
        "fixed": int(judged.fixed[c]),
        "broken": int(judged.broken[c]),
        "average_precision_first": plain(first),
        "average_precision_second": plain(second),
        "difference": plain(second - first),
        "difference_low": plain(low),
        "difference_high": plain(high),
    }


def figures(judged: JudgedChanges) -> list[tuple[str, float, float, float, float]]:
    """Every figure of all classes: name, first, second, and the ends of the difference."""
    ends = judged.intervals
    nan = (float("nan"),) * 2
    found = [
        (
            "mean_average_precision",
            judged.first.mean_average_precision,
            judged.second.mean_average_precision,
            *(nan if ends is None else ends.mean_average_precision[0].tolist()),
        )
    ]
    for average in _AVERAGES:
        one, other = getattr(judged.first, average), getattr(judged.second, average)
        for at, ratio in enumerate(RATIOS):
            interval = nan if ends is None else getattr(ends, average)[at].tolist()
            values = (getattr(one, ratio), getattr(other, ratio))
            found.append((f"{average}_{ratio}", *values, *interval))
    return found


def _judged_json(judged: JudgedChanges) -> dict[str, Any]:
    return {
        "images": len(judged.places),
        "fixed": int(judged.fixed.sum()),
        "broken": int(judged.broken.sum()),
        "level": LEVEL,
        "figures": {
            name: {
                "first": plain(first),
                "second": plain(second),
                "difference": plain(second - first),
                "low": plain(low),
                "high": plain(high),
            }
            for name, first, second, low, high in figures(judged)
        },
    }
