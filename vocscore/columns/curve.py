"""What every threshold of a class would give: sorted once, then looked up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vocscore.columns.order import order_of
from vocscore.evaluation.averages import ratios

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.columns.labels import Labels
    from vocscore.columns.table import Table


@dataclass(frozen=True, slots=True)
class Counts:
    """The decisions of a class at a threshold."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    def _ratios(self) -> tuple[float, ...]:
        truth = self.true_positives + self.false_negatives
        guess = self.true_positives + self.false_positives
        return tuple(float(value) for value in ratios(self.true_positives, truth, guess))

    @property
    def iou(self) -> float:
        """Intersection over union of the images labeled and predicted; 0 for 0/0, as all here."""
        return self._ratios()[0]

    @property
    def precision(self) -> float:
        """Share of the predicted images that have the class."""
        return self._ratios()[1]

    @property
    def recall(self) -> float:
        """Share of the images with the class that are predicted."""
        return self._ratios()[2]

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return self._ratios()[3]


class ClassCurve:
    """A class of a table, sorted by probability.

    Made by `class_curve`.

    Attributes:
        scores: float32 (M,), descending: probabilities of the rows considered.
        present: bool (M,): which of them have the class; False without labels.
        hits: int64 (M,): how many of the first ones have the class; zeros without labels.
        positives: how many have the class.
        labeled: whether rows have labels.
    """

    def __init__(self, scores: NDArray[np.float32], present: NDArray[np.bool_] | None) -> None:
        """Sort.

        Args:
            scores: float32 (M,), without nan.
            present: bool (M,): the labels; None if there are none.
        """
        order = order_of(scores, descending=True)
        self.scores = scores[order]
        self.labeled = present is not None
        sorted_present = np.zeros(len(scores), np.bool_) if present is None else present[order]
        self.hits = np.cumsum(sorted_present, dtype=np.int64)
        self.positives = int(self.hits[-1]) if len(scores) else 0
        self.present = sorted_present
        # each threshold that decides otherwise than the one before: ends of equal scores
        self._ends = np.append(np.flatnonzero(np.diff(self.scores)), len(scores) - 1)
        if not len(scores):
            self._ends = np.empty(0, np.int64)

    def predicted(self, threshold: float) -> int:
        """How many rows have a probability at or above a threshold, compared as float32."""
        return int(np.searchsorted(-self.scores, -np.float32(threshold), side="right"))

    def at(self, threshold: float) -> Counts:
        """The decisions at a threshold."""
        guess = self.predicted(threshold)
        both = int(self.hits[guess - 1]) if guess else 0
        missed = self.positives - both
        return Counts(both, guess - both, missed, len(self.scores) - guess - missed)

    def _at_ends(self) -> tuple[NDArray[np.float64], ...]:
        """Precision, recall and F1 at every score, from the highest down."""
        both, guess = self.hits[self._ends], self._ends + 1
        _, precision, recall, f1 = ratios(both, np.int64(self.positives), guess)
        return precision, recall, f1

    def best_f1(self) -> float | None:
        """The threshold of the greatest F1, the highest one of equals; None without positives.

        It lies in the middle between two scores, so that it separates them with few digits.
        """
        if not self.positives:
            return None
        return self._between(int(np.argmax(self._at_ends()[2])))

    def at_precision(self, precision: float) -> float | None:
        """The threshold of the greatest recall with at least this precision; None if there is none.

        Args:
            precision: from 0 to 1.
        """
        reached = np.flatnonzero(self._at_ends()[0] >= precision) if self.positives else ()
        good = [end for end in reached[-1:] if self.hits[self._ends[end]]]
        return self._between(int(good[0])) if good else None

    def _between(self, end: int) -> float:
        """A short number between a score and the next lower one; the score if there is none."""
        score = float(self.scores[self._ends[end]])
        lower = float(self.scores[self._ends[end + 1]]) if end + 1 < len(self._ends) else 0.0
        low, high = np.float32(lower), np.float32(score)
        for digits in range(2, 10):
            short = round((score + lower) / 2, digits)
            if low < np.float32(short) <= high:
                return short
        return score

    def points(self, most: int = 400) -> tuple[NDArray[np.float64], ...]:
        """The precision-recall curve, thinned for a drawing.

        Args:
            most: number of points at most, about evenly spaced in recall.

        Returns:
            Thresholds, precision and recall, each float64, from the highest threshold down; empty
            without positives.
        """
        if not self.positives:
            return np.empty(0), np.empty(0), np.empty(0)
        precision, recall, _ = self._at_ends()
        thresholds = self.scores[self._ends].astype(np.float64)
        if len(recall) <= most:
            return thresholds, precision, recall
        first = np.searchsorted(recall, np.linspace(0, recall[-1], most // 2))
        # of each recall the lowest threshold too, where the precision has fallen the most
        last = np.searchsorted(recall, recall[first], side="right") - 1
        kept = np.unique([first, last])
        return thresholds[kept], precision[kept], recall[kept]

    def histogram(
        self, bins: int = 50
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Count probabilities in bins of equal width.

        Returns:
            Edges float64 (bins + 1,), and int64 (bins,) of rows with the class and of the others;
            without labels all are others.
        """
        edges = np.linspace(0, 1, bins + 1)
        present, _ = np.histogram(self.scores[self.present], edges)
        absent, _ = np.histogram(self.scores[~self.present], edges)
        return edges, present, absent

    @property
    def average_precision(self) -> float:
        """All points; nan without positives. See `evaluation.average_precision`."""
        if not self.positives:
            return math.nan
        precision, recall, _ = self._at_ends()
        return float(np.diff(recall, prepend=0) @ precision)


def class_curve(
    table: Table, labels: Labels | None, c: int, *, rows: NDArray[np.bool_] | None = None
) -> ClassCurve:
    """Sort a class by probability.

    Args:
        table: the predictions.
        labels: of its images; only rows with a label of this class are considered then.
        c: the class.
        rows: bool (N,), the rows to consider; None: with labels those held out, else all.
    """
    column = table.column(c)
    mask = ~np.isnan(column)
    if labels is None:
        return ClassCurve(column[mask if rows is None else mask & rows], None)
    truth = labels.column(c)
    mask &= (truth >= 0) & (labels.held_out if rows is None else rows)
    return ClassCurve(column[mask], truth[mask] == 1)
