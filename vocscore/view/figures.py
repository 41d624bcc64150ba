"""The figures of the overview, from columns; computed in threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vocscore.config.evaluating import BootstrapConfig
from vocscore.evaluation.bootstrap import bootstrap
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
        counts: int64 (B,), probabilities of all classes in each bin.
    """

    predicted: NDArray[np.int64]
    none: int
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def decided(table: Table, thresholds: NDArray[np.float32]) -> Decided:
    """Count the decisions at thresholds, class by class."""
    edges = np.linspace(0, 1, _BINS + 1)
    predicted, counts = np.zeros(len(table.classes), np.int64), np.zeros(_BINS, np.int64)
    any_class = np.zeros(table.rows, np.bool_)
    for c in range(len(table.classes)):
        found = table.predicted(c, float(thresholds[c])) & ~table.failed
        predicted[c] = np.count_nonzero(found)
        any_class |= found
        column = table.column(c)
        counts += np.histogram(column[~np.isnan(column)], edges)[0]
    none = int(np.count_nonzero(~any_class & ~table.failed))
    return Decided(predicted, none, edges, counts)


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
    """The rows that figures cover: held out; if all were trained on, every labeled one."""
    mask = labels.held_out if labels.held_out.any() else labels.has
    return np.flatnonzero(mask).astype(np.int64)


def judge(table: Table, labels: Labels, thresholds: NDArray[np.float32]) -> Judged | None:
    """Compute all metrics at thresholds; None if no labeled image has all probabilities."""
    rows, truth, probabilities, predicted = _decisions(table, labels, thresholds)
    if not len(rows):
        return None
    report = report_decided(truth, probabilities, predicted, threshold=tuple(thresholds.tolist()))
    return Judged(report, missed_together(truth, predicted), rows)


def intervals(
    table: Table,
    labels: Labels,
    thresholds: NDArray[np.float32],
    *,
    resamples: int = BootstrapConfig.resamples,
    seed: int = BootstrapConfig.seed,
) -> Intervals | None:
    """Compute the intervals of all metrics; None for more than `RESAMPLED` images."""
    rows, truth, probabilities, predicted = _decisions(table, labels, thresholds)
    if not 0 < len(rows) <= RESAMPLED:
        return None
    return bootstrap(truth, probabilities, predicted, resamples=resamples, seed=seed)


def _decisions(
    table: Table, labels: Labels, thresholds: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.float32], NDArray[np.bool_]]:
    """The rows with labels and all probabilities, and both; at thresholds."""
    rows = rows_of(labels)
    rows = rows[~table.failed[rows]]
    probabilities = table.table(rows)
    if not table.columns.about.has_all:
        whole = ~np.isnan(probabilities).any(axis=1)
        rows, probabilities = rows[whole], probabilities[whole]
    predicted = np.stack(
        [table.predicted(c, float(t))[rows] for c, t in enumerate(thresholds)], axis=1
    )
    return rows, labels.table(rows), probabilities, predicted
