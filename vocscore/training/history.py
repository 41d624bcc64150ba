"""The figures of one epoch, and history.csv that keeps them as they come."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vocscore.evaluation.metrics import Report

FIGURES = ("loss", "iou", "precision", "recall", "f1", "mean_average_precision")
SPLITS = ("train", "val")
COLUMNS = ("epoch", *(f"{split}_{figure}" for split in SPLITS for figure in FIGURES))


@dataclass(frozen=True, slots=True)
class SplitFigures:
    """How well a split is predicted; IoU to F1 are averaged over pictures.

    Attributes:
        loss: binary cross-entropy, nats a decision, over all decisions that are not 'difficult'.
        report: every other figure.
    """

    loss: float
    report: Report

    @property
    def iou(self) -> float:
        """Intersection over union of labelled and predicted classes."""
        return self.report.samples.iou

    @property
    def precision(self) -> float:
        """Share of the predicted classes that are labelled."""
        return self.report.samples.precision

    @property
    def recall(self) -> float:
        """Share of the labelled classes that are predicted."""
        return self.report.samples.recall

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return self.report.samples.f1

    @property
    def mean_average_precision(self) -> float:
        """Mean over classes of average precision, all points; nan without any positive."""
        return self.report.mean_average_precision

    @property
    def chance(self) -> float:
        """The mean average precision that guessing approaches."""
        return self.report.chance

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """Plain values, per class too."""
        return {"loss": self.loss, **self.report.to_json(classes)}


@dataclass(frozen=True, slots=True)
class EpochResult:
    """Both splits after (or, for train with tune='all', during) one epoch, counted from 1."""

    epoch: int
    train: SplitFigures
    val: SplitFigures

    def row(self) -> list[float]:
        """One value a column of `COLUMNS`."""
        splits = (self.train, self.val)
        return [self.epoch, *(getattr(split, figure) for split in splits for figure in FIGURES)]


def append_history(file: Path, result: EpochResult) -> None:
    """Add one row to history.csv, with the header before the first; values round-trip.

    An interrupted training thus keeps the epochs it finished.
    """
    new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        writer.writerow(result.row())
