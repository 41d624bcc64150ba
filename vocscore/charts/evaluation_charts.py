"""The three charts of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.charts.canvas import chart_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vocscore.evaluation.bootstrap import Intervals
    from vocscore.evaluation.calibration import Reliability
    from vocscore.evaluation.metrics import Report

PER_CLASS, RELIABILITY, MISSED = STEMS = ("per_class_ap", "reliability", "missed_together")


def evaluation_charts(
    folder: Path,
    classes: Sequence[str],
    *,
    figures: Report,
    intervals: Intervals | None,
    calibration: Mapping[str, Reliability],
    missed: NDArray[np.int64],
    subject: str = "",
    chart_format: str = "png",
) -> None:
    """Draw average precision per class, reliability, and which labels are missed together.

    Args:
        folder: for the charts, whose names are `STEMS`; existing ones are replaced.
        classes: the names, in column order.
        figures: metrics of the images that were compared.
        intervals: of the metrics; None for none.
        calibration: of the same images, by legend name; one, or before and after calibration.
        missed: of the same images, int64, shape (C, C), as `missed_together` returns it.
        subject: which images these are and whether they were held out, for the reader.
        chart_format: 'png', 'svg' or 'both'.

    Raises:
        OSError: the folder cannot be written.
    """
    # imported here: a caller that needs only the names does not load matplotlib
    from vocscore.charts.class_chart import class_chart
    from vocscore.charts.missed_chart import missed_chart
    from vocscore.charts.reliability_chart import reliability_chart

    per_class, bins, pairs = (chart_files(folder, stem, chart_format) for stem in STEMS)
    class_chart(figures, classes, per_class, intervals=intervals, subject=subject)
    reliability_chart(calibration, bins, subject=subject)
    positives = figures.per_class.positives
    missed_chart(missed, classes, pairs, positives=positives, subject=subject)
