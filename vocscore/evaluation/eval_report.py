"""What an evaluation found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vocscore.evaluation.metrics import plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vocscore.evaluation.bootstrap import Intervals
    from vocscore.evaluation.calibration import Reliability
    from vocscore.evaluation.metrics import Report

_EXAMPLES = 20
"""Paths of pictures left out that a report names; it counts them all."""


@dataclass(frozen=True, slots=True, eq=False)
class EvalReport:
    """How good predictions are, and of how many pictures that can be said.

    A labelled picture without probabilities (no row, or a row with status=error) is in no figure:
    what a model would have said of it is not known. It is counted, and the text says so.

    Attributes:
        classes: in the order of the shards.
        splits: the splits compared with.
        labelled: pictures in these splits.
        missing: labelled pictures without a row in the predictions.
        failed: labelled pictures whose row has status=error.
        unlabelled: rows of the predictions about pictures that are not in these splits.
        matched_as: (predicted path, labelled path) of one picture, where paths were not equal and
            were matched by how they end; else None.
        difficult: what labels of only difficult instances were taken for; see `apply_difficult`.
        figures: of the `labelled` pictures that are neither missing nor failed; its threshold is
            None where the labels that the predictions hold were compared.
        intervals: of the figures; None where none were asked for.
        calibration: of all decisions.
        missed: int64, shape (C, C); see `missed_together`.
    """

    classes: tuple[str, ...]
    splits: tuple[str, ...]
    labelled: int
    missing: tuple[str, ...]
    failed: tuple[str, ...]
    unlabelled: int
    matched_as: tuple[str, str] | None
    difficult: str
    figures: Report
    intervals: Intervals | None
    calibration: Reliability
    missed: NDArray[np.int64]

    def to_json(self) -> dict[str, Any]:
        """Plain values: what was compared, the figures of `Report.to_json`, and what is beside."""
        return {
            "splits": list(self.splits),
            "labelled": self.labelled,
            "missing": len(self.missing),
            "missing_examples": list(self.missing[:_EXAMPLES]),
            "failed": len(self.failed),
            "failed_examples": list(self.failed[:_EXAMPLES]),
            "unlabelled": self.unlabelled,
            "matched_by": "ending" if self.matched_as else "path",
            "difficult": self.difficult,
            "decided_by": "labels" if self.figures.threshold is None else "threshold",
            **self.figures.to_json(self.classes),
            "expected_calibration_error": plain(self.calibration.expected_calibration_error),
            "intervals": self.intervals and self.intervals.to_json(self.classes),
            "reliability": self.calibration.to_json(),
            "missed_together": self.missed.tolist(),
        }
