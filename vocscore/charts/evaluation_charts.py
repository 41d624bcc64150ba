"""The three images of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vocscore.evaluation.calibration import Reliability
    from vocscore.evaluation.metrics import Report

PER_CLASS, RELIABILITY, MISSED = "per_class_ap.png", "reliability.png", "missed_together.png"
NAMES = (PER_CLASS, RELIABILITY, MISSED)


def evaluation_charts(
    folder: Path,
    classes: Sequence[str],
    *,
    figures: Report,
    calibration: Mapping[str, Reliability],
    missed: NDArray[np.int64],
    subject: str = "",
) -> None:
    """Draw average precision a class, reliability, and which labels are missed together.

    Args:
        folder: for the images, which are called `NAMES`; those there already are replaced.
        classes: the names, in column order.
        figures: of the images that were compared.
        calibration: of the same, by the name that the legend has for it; one, or before and after
            calibration.
        missed: of the same, int64, shape (C, C), as `missed_together` gives it.
        subject: which images these are and whether they were held out, for the reader.

    Raises:
        OSError: the folder cannot be written.
    """
    # here: a caller that needs only the names does not wait for matplotlib
    from vocscore.charts.class_chart import class_chart
    from vocscore.charts.missed_chart import missed_chart
    from vocscore.charts.reliability_chart import reliability_chart

    class_chart(figures, classes, folder / PER_CLASS, subject=subject)
    reliability_chart(calibration, folder / RELIABILITY, subject=subject)
    missed_chart(missed, classes, folder / MISSED, subject=subject)
