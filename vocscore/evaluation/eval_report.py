"""What an evaluation found."""

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
"""Paths of images left out that a report names; it counts them all."""


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """How many images of one split there are.

    Attributes:
        labeled: to be judged.
        compared: of these, with probabilities; figures are made of them.
        trained_on: of these, trained on.
    """

    labeled: int
    compared: int
    trained_on: int


@dataclass(frozen=True, slots=True)
class Training:
    """What the model had seen of the images that figures are made of.

    Attributes:
        known_by: 'record' (beside the predictions), 'model' (the run that the user named), or
            'assumption' (by the names of splits).
        source: the record or the run; with an assumption, why nothing says it.
        trained_on: images that the model was trained on.
        validated_on: images that it was validated on.
        chosen: what these chose: some of 'epoch', 'thresholds', 'temperature'.
        left_out: split -> scored images that are in no figure, because they were trained on.
        splits: of the images to be judged.
        notes: further sentences that a reader has to know.
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
        """Plain values."""
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
class EvalReport:
    """How good predictions are, and of how many images that can be said.

    A labeled image without probabilities (no row, or a row with status=error) is in no figure:
    what a model would have said of it is not known. It is counted, and the text says so.

    Attributes:
        classes: in the order of the shards.
        splits: the splits of the images to be judged.
        labeled: how many images that is; without a split being asked for, images that were
            trained on are not among them.
        missing: those without a row in the predictions.
        failed: those whose row has status=error.
        unlabeled: rows of the predictions about images that are in none of the splits looked at:
            those asked for, else all.
        matched_as: (predicted path, labeled path) of one image, where paths were not equal and
            were matched by how they end; else None.
        training: what the model had seen of them.
        difficult: what labels of only difficult instances were taken for; see `apply_difficult`.
        figures: of the `labeled` images that are neither missing nor failed; its threshold is
            None where the labels that the predictions hold were compared.
        intervals: of the figures; None where none were asked for.
        calibration: of all decisions.
        missed: int64, shape (C, C); see `missed_together`.
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

    def to_json(self) -> dict[str, Any]:
        """Plain values: what was compared, the figures of `Report.to_json`, and what is beside."""
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
