"""The figures of a report: those of `vocscore eval`, from columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vocscore.columns.curve import class_curve
from vocscore.columns.figures import compare
from vocscore.evaluation.bootstrap import bootstrap
from vocscore.evaluation.calibration import BINS, Reliability, reliability
from vocscore.evaluation.metrics import report_decided
from vocscore.evaluation.mistakes import missed_together

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from vocscore.columns.figures import Compared
    from vocscore.columns.labels import Labels
    from vocscore.columns.table import Table
    from vocscore.config.evaluating import BootstrapConfig
    from vocscore.evaluation.bootstrap import Intervals
    from vocscore.evaluation.metrics import Report

RESAMPLED: Final = 20_000
"""Most images for which intervals are computed: their time and memory grow with the images, and
with more of them intervals are narrow."""
_CURVE_POINTS: Final = 300


@dataclass(frozen=True)
class Quality:
    """How good the labels and probabilities of the compared images are.

    Attributes:
        compared: the decisions.
        report: all metrics.
        intervals: of them; None if not requested, or for more than `RESAMPLED` images.
        calibration: over all decisions.
        missed: int64 (C, C); see `missed_together`.
        curves: per class, recall and precision, float64 (P,) each; empty without positives.
    """

    compared: Compared
    report: Report
    intervals: Intervals | None
    calibration: Reliability
    missed: NDArray[np.int64]
    curves: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]


def measure(
    table: Table,
    labels: Labels,
    config: BootstrapConfig,
    *,
    on_stage: Callable[[str], None],
) -> Quality | None:
    """Compute all figures, with the labels in the predictions as decisions.

    Args:
        table: the predictions.
        labels: of its images.
        config: of the intervals.
        on_stage: called with the name of the stage that begins.

    Returns:
        The figures; None if no labeled image has all probabilities.
    """
    on_stage("metrics")
    found = compare(table, labels)
    if not len(found.rows):
        return None
    decisions = found.truth, found.probabilities, found.predicted
    report = report_decided(*decisions, threshold=None)
    calibration = _reliability(found)
    missed = missed_together(found.truth, found.predicted)
    curves = _curves(table, labels, found.rows)
    spread = None
    if config.resamples and len(found.rows) <= RESAMPLED:
        on_stage("intervals")
        spread = bootstrap(*decisions, resamples=config.resamples, seed=config.seed)
    return Quality(found, report, spread, calibration, missed, curves)


def _reliability(found: Compared) -> Reliability:
    """The bins of all decisions, added class by class: less memory than all decisions at once."""
    decisions = np.zeros(BINS, np.int64)
    total, present = np.zeros(BINS), np.zeros(BINS)
    edges = np.linspace(0, 1, BINS + 1)
    for truth, probabilities in zip(found.truth.T, found.probabilities.T, strict=True):
        of_class = reliability(truth, probabilities)
        used = of_class.decisions > 0
        decisions += of_class.decisions
        total[used] += (of_class.mean_probability * of_class.decisions)[used]
        present[used] += (of_class.share_present * of_class.decisions)[used]
    with np.errstate(invalid="ignore"):  # 0/0: an empty bin has no mean
        return Reliability(edges, decisions, total / decisions, present / decisions)


def _curves(
    table: Table, labels: Labels, rows: NDArray[np.int64]
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]:
    mask = np.zeros(table.rows, np.bool_)
    mask[rows] = True
    curves = []
    for c in range(len(table.classes)):
        _, precision, recall = class_curve(table, labels, c, rows=mask).points(_CURVE_POINTS)
        curves.append((recall, precision))
    return tuple(curves)
