"""The figures of the page and of the report, from columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vocscore.config.evaluating import BootstrapConfig
from vocscore.evaluation.bootstrap import bootstrap
from vocscore.evaluation.labeled import NO_ROW
from vocscore.evaluation.metrics import report_decided
from vocscore.evaluation.mistakes import missed_together

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.columns.labels import Labels
    from vocscore.columns.table import Table
    from vocscore.evaluation.bootstrap import Intervals
    from vocscore.evaluation.metrics import Report

RESAMPLED: Final = 20_000
"""Most images for which intervals are computed while somebody waits."""
_BINS: Final = 50


@dataclass(frozen=True)
class Decided:
    """What is predicted, without labels.

    Attributes:
        predicted: int64 (C,), images predicted to have each class.
        none: number of images without any class.
        edges: float64 (B + 1,) of the bins of probability.
        by_class: int64 (C, B), probabilities of each class in each bin.
    """

    predicted: NDArray[np.int64]
    none: int
    edges: NDArray[np.float64]
    by_class: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64 (B,), probabilities of all classes in each bin."""
        total: NDArray[np.int64] = self.by_class.sum(axis=0)
        return total


def decided(table: Table, thresholds: NDArray[np.float32] | None) -> Decided:
    """Count the decisions, class by class.

    Args:
        table: the predictions.
        thresholds: float32 (C,); None: the labels in the predictions.
    """
    edges = np.linspace(0, 1, _BINS + 1)
    predicted = np.zeros(len(table.classes), np.int64)
    by_class = np.zeros((len(table.classes), _BINS), np.int64)
    any_class = np.zeros(table.rows, np.bool_)
    for c in range(len(table.classes)):
        found = _predicted(table, c, thresholds) & ~table.failed
        predicted[c] = np.count_nonzero(found)
        any_class |= found
        column = table.column(c)
        by_class[c] = np.histogram(column[~np.isnan(column)], edges)[0]
    none = int(np.count_nonzero(~any_class & ~table.failed))
    return Decided(predicted, none, edges, by_class)


def _predicted(table: Table, c: int, thresholds: NDArray[np.float32] | None) -> NDArray[np.bool_]:
    return table.decided(c) if thresholds is None else table.predicted(c, float(thresholds[c]))


@dataclass(frozen=True)
class Compared:
    """The decisions that figures are computed from; M images with labels and all probabilities.

    Attributes:
        rows: int64 (M,), of the table.
        truth: int8 (M, C).
        probabilities: float32 (M, C).
        predicted: bool (M, C).
    """

    rows: NDArray[np.int64]
    truth: NDArray[np.int8]
    probabilities: NDArray[np.float32]
    predicted: NDArray[np.bool_]


def compare(
    table: Table, labels: Labels, thresholds: NDArray[np.float32] | None = None
) -> Compared:
    """Gather the decisions about the images that figures cover; see `rows_of`.

    Args:
        table: the predictions.
        labels: of its images.
        thresholds: float32 (C,); None: the labels in the predictions.
    """
    rows = rows_of(labels)
    rows = rows[~table.failed[rows]]
    if not table.columns.about.has_all:
        rows = rows[~np.isnan(table.table(rows)).any(axis=1)]
    # column after column, as metrics read them
    shape = (len(rows), len(table.classes))
    probabilities, predicted = np.empty(shape, np.float32, "F"), np.empty(shape, np.bool_, "F")
    truth = np.empty(shape, np.int8, "F")
    for c in range(len(table.classes)):
        probabilities[:, c] = table.column(c)[rows]
        predicted[:, c] = _predicted(table, c, thresholds)[rows]
        truth[:, c] = labels.column(c)[rows]
    return Compared(rows, truth, probabilities, predicted)


@dataclass(frozen=True)
class Judged:
    """The figures of the held-out images.

    Attributes:
        report: all metrics.
        missed: int64 (C, C); see `missed_together`.
        rows: int64, the rows that the figures cover.
    """

    report: Report
    missed: NDArray[np.int64]
    rows: NDArray[np.int64]


def rows_of(labels: Labels) -> NDArray[np.int64]:
    """The rows that figures cover: held out; if all were trained on, every labeled one.

    In the order of the labeled images, as `vocscore eval` has them: the resamples of intervals
    depend on it.
    """
    mask = labels.held_out if labels.held_out.any() else labels.has
    rows = labels.judged.row
    rows = rows[rows != NO_ROW]
    chosen: NDArray[np.int64] = rows[mask[rows]]
    return chosen


def judge(table: Table, labels: Labels, thresholds: NDArray[np.float32]) -> Judged | None:
    """Compute all metrics at thresholds; None if no labeled image has all probabilities."""
    found = compare(table, labels, thresholds)
    if not len(found.rows):
        return None
    report = report_decided(
        found.truth,
        found.probabilities,
        found.predicted,
        threshold=tuple(thresholds.tolist()),
    )
    return Judged(report, missed_together(found.truth, found.predicted), found.rows)


def intervals(
    table: Table,
    labels: Labels,
    thresholds: NDArray[np.float32],
    *,
    resamples: int = BootstrapConfig.resamples,
    seed: int = BootstrapConfig.seed,
) -> Intervals | None:
    """Compute the intervals of all metrics; None for more than `RESAMPLED` images."""
    found = compare(table, labels, thresholds)
    if not 0 < len(found.rows) <= RESAMPLED:
        return None
    return bootstrap(
        found.truth, found.probabilities, found.predicted, resamples=resamples, seed=seed
    )
