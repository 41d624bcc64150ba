"""The metrics of each epoch, and history.csv, which records them."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from shards import atomic
from vocscore.printed import Printed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from vocscore.evaluation.metrics import Report
    from vocscore.exporting.quantize import QuantizeReport
    from vocscore.training.converged import Converged

FIGURES = ("loss", "iou", "precision", "recall", "f1", "mean_average_precision")
SPLITS = ("train", "val")
COLUMNS = ("epoch", *(f"{split}_{figure}" for split in SPLITS for figure in FIGURES), "kept")


@dataclass(frozen=True, slots=True)
class SplitFigures:
    """The metrics of a split that are tracked over the epochs.

    IoU, precision, recall and F1 are averaged over images.

    Attributes:
        loss: the training loss, over all decisions that are not 'difficult'.
        iou: intersection over union of labeled and predicted classes.
        precision: share of the predicted classes that are labeled.
        recall: share of the labeled classes that are predicted.
        f1: harmonic mean of precision and recall.
        mean_average_precision: over classes, all points; nan without any positive.
        chance: the expected mean average precision of random guessing.
    """

    loss: float
    iou: float
    precision: float
    recall: float
    f1: float
    mean_average_precision: float
    chance: float


def split_figures(loss: float, report: Report) -> SplitFigures:
    """Select the metrics of a report that are tracked over the epochs."""
    return SplitFigures(
        loss,
        **report.samples.to_json(),
        mean_average_precision=report.mean_average_precision,
        chance=report.chance,
    )


@dataclass(frozen=True, slots=True)
class EpochResult:
    """Both splits after (or, for train with tune='all', during) one epoch.

    Attributes:
        epoch: counted from 1.
        train: the training split.
        val: the validation split.
        kept: whether this epoch's network is now the one to keep: always with keep='last'; with
            'best', if validation mAP is higher than in all epochs before.
        learning_rate: of the epoch's last step; the head's where the backbone has its own.
    """

    epoch: int
    train: SplitFigures
    val: SplitFigures
    kept: bool = True
    learning_rate: float = 0.0

    def row(self) -> list[float]:
        """One value per column of `COLUMNS`."""
        splits = (self.train, self.val)
        figures = [getattr(split, figure) for split in splits for figure in FIGURES]
        return [self.epoch, *figures, int(self.kept)]

    def to_state(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> EpochResult:
        """The inverse of `to_state`."""
        splits = {name: SplitFigures(**state[name]) for name in SPLITS}
        rate = state["learning_rate"]
        return cls(epoch=state["epoch"], kept=state["kept"], learning_rate=rate, **splits)


@dataclass(frozen=True, slots=True)
class TrainReport(Printed):
    """The result of a training.

    Attributes:
        out: the run's folder.
        epochs: one result per epoch.
        kept: the epoch whose network is the checkpoint, counted from 1.
        reports: 'train' and 'val': every metric of the kept epoch, with its fitted thresholds.
        unseen: classes without a positive in the training split; the model has learned only that
            they are rare.
        weights: source of the backbone's initial weights, as in the checkpoint's card.
        out_of_fold: the file of out-of-fold predictions; None without.
        lone: classes whose positives are all in one fold; the head that judged these images has not
            seen another one.
        solved: how the head was solved with --solver lbfgs; None if it was trained in steps.
        residual: CSRA's lambda, if the validation split chose it.
        quantized: the 8-bit model compared with float32; None if it was not asked for, or not
            close enough, of which `problems` has a line.
        problems: warnings that did not stop the run, one line each.
    """

    out: Path
    epochs: tuple[EpochResult, ...]
    kept: int
    reports: Mapping[str, Report]
    unseen: tuple[str, ...]
    weights: str = "none"
    problems: tuple[str, ...] = ()
    out_of_fold: Path | None = None
    lone: tuple[str, ...] = ()
    solved: Converged | None = None
    residual: float | None = None
    quantized: QuantizeReport | None = None

    def __str__(self) -> str:
        """Summarize the kept epoch on the validation split, and name the run's folder."""
        val = self.reports["val"]
        return (
            f"epoch {self.kept} of {len(self.epochs)}: validation mAP "
            f"{val.mean_average_precision:.3f} (chance {val.chance:.3f}), IoU {self.val.iou:.3f}, "
            f"F1 {self.val.f1:.3f}: {self.out}"
        )

    @property
    def train(self) -> SplitFigures:
        """The training split in the kept epoch."""
        return self.epochs[self.kept - 1].train

    @property
    def val(self) -> SplitFigures:
        """The validation split after the kept epoch."""
        return self.epochs[self.kept - 1].val


def best_epoch(history: Sequence[EpochResult]) -> int:
    """The first epoch with the highest validation mAP; 0 if none has one.

    Args:
        history: epochs from 1 on; one without a mAP is never the best.
    """
    known = [r for r in history if not math.isnan(r.val.mean_average_precision)]
    best = max(known, key=lambda result: result.val.mean_average_precision, default=None)
    return 0 if best is None else best.epoch


def write_history(file: Path, history: Sequence[EpochResult]) -> None:
    """Rewrite history.csv, with its header; values round-trip.

    Written after each epoch, so that an interrupted training keeps its finished epochs.

    Raises:
        OSError: the file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(result.row() for result in history)
    atomic.write(file, text.getvalue().encode())
