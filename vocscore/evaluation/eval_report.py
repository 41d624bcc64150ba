"""The result of an evaluation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vocscore.evaluation.metrics import plain
from vocscore.records.keys import stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from vocscore.evaluation.bootstrap import Intervals
    from vocscore.evaluation.calibration import Reliability
    from vocscore.evaluation.metrics import Report

_EXAMPLES = 20
"""Maximum number of paths of left-out images in a report; all are counted."""


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Image counts of one split.

    Attributes:
        labeled: images selected for evaluation.
        compared: those of them with probabilities; the metrics cover these.
        trained_on: those of `compared` that were trained on.
    """

    labeled: int
    compared: int
    trained_on: int


@dataclass(frozen=True, slots=True)
class Training:
    """How the evaluated images were used in the model's training.

    Attributes:
        known_by: 'record' (beside the predictions), 'model' (the run that the user named), or
            'assumption' (by the names of splits).
        source: the record or the run; for an assumption, why there is no source.
        trained_on: number of images that the model was trained on.
        validated_on: number of images that it was validated on.
        chosen: what validation chose: some of 'epoch', 'thresholds', 'temperature'.
        left_out: split -> scored images left out of every metric, because they were trained on.
        splits: counts per split.
        notes: further sentences for the user.
    """

    known_by: str
    source: str
    trained_on: int
    validated_on: int
    chosen: tuple[str, ...]
    left_out: Mapping[str, int]
    splits: Mapping[str, SplitCounts]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values."""
        return {
            "trained_on": self.trained_on,
            "trained_on_known_by": self.known_by,
            "trained_on_source": self.source,
            "left_out_trained_on": dict(self.left_out),
            "validated_on": self.validated_on,
            "chosen_on_validation": list(self.chosen),
            "images_by_split": {
                name: stored(asdict(counts)) for name, counts in self.splits.items()
            },
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, eq=False)
class ComparedDecisions:
    """Every decision that the metrics cover.

    Attributes:
        paths: of the N images, in the labeled set.
        labels: int8 (N, C), after `apply_difficult`.
        probabilities: float32 (N, C).
        predicted: bool (N, C).
        thresholds: of each class; None if unknown.
    """

    paths: tuple[str, ...]
    labels: NDArray[np.int8]
    probabilities: NDArray[np.float32]
    predicted: NDArray[np.bool_]
    thresholds: tuple[float, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class EvalReport:
    """The metrics of predictions, and which images they cover.

    A labeled image without probabilities (no row, or a row with status=error) is in no metric:
    the model's prediction for it is unknown. It is counted, and the text says so.

    Attributes:
        classes: in the order of the shards.
        splits: the splits of the evaluated images.
        labeled: number of images selected; if no split is requested, images that were trained
            on are not included.
        missing: those without a row in the predictions.
        failed: those whose row has status=error.
        unlabeled: number of prediction rows whose image is in none of the splits considered: the
            requested ones, else all.
        matched_as: (predicted path, labeled path) of one image, if paths were not equal and were
            matched by their endings; else None.
        training: how these images were used in the model's training.
        difficult: how labels of only difficult instances count; see `apply_difficult`.
        figures: metrics of the `labeled` images that are neither missing nor failed; the
            threshold is None if the labels in the predictions were evaluated.
        intervals: of the metrics; None if not requested.
        calibration: of all decisions.
        missed: int64, shape (C, C); see `missed_together`.
        decisions: behind the metrics; not in the JSON.
    """

    classes: tuple[str, ...]
    splits: tuple[str, ...]
    labeled: int
    missing: tuple[str, ...]
    failed: tuple[str, ...]
    unlabeled: int
    matched_as: tuple[str, str] | None
    training: Training
    difficult: str
    figures: Report
    intervals: Intervals | None
    calibration: Reliability
    missed: NDArray[np.int64]
    decisions: ComparedDecisions

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values: the coverage, the metrics of `Report.to_json`, and the rest."""
        return {
            "splits": list(self.splits),
            **self.training.to_json(),
            "labelled": self.labeled,
            "missing": len(self.missing),
            "missing_examples": list(self.missing[:_EXAMPLES]),
            "failed": len(self.failed),
            "failed_examples": list(self.failed[:_EXAMPLES]),
            "unlabelled": self.unlabeled,
            "matched_by": "ending" if self.matched_as else "path",
            "difficult": self.difficult,
            "decided_by": "labels" if self.figures.threshold is None else "threshold",
            **self.figures.to_json(self.classes),
            "expected_calibration_error": plain(self.calibration.expected_calibration_error),
            "intervals": self.intervals and self.intervals.to_json(self.classes),
            "reliability": self.calibration.to_json(),
            "missed_together": self.missed.tolist(),
        }
