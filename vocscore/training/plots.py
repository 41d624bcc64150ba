"""The images in a run: how training went, and what the network is like that it left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.charts.canvas import BLUE, GRAY, ORANGE, open_figure, save, whole_numbers
from vocscore.charts.evaluation_charts import evaluation_charts
from vocscore.evaluation.calibration import reliability
from vocscore.evaluation.metrics import decide
from vocscore.evaluation.mistakes import missed_together

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vocscore.evaluation.metrics import Report
    from vocscore.models.card import ModelCard
    from vocscore.training.history import EpochResult
    from vocscore.training.trainer import SplitOutcome

PANELS = (
    ("loss", "loss (nats a decision)"),
    ("iou", "IoU"),
    ("mean_average_precision", "mean average precision"),
)
COLORS = {"train": BLUE, "val": ORANGE}
MARKED_EPOCHS = 40
"""Up to so many epochs each has a dot; a single epoch would be invisible without."""


def curves(history: Sequence[EpochResult], file: Path) -> None:
    """Draw loss, IoU and mean average precision of both splits over the epochs.

    Args:
        history: one result an epoch, at least one.
        file: the PNG to write.

    Raises:
        OSError: the file cannot be written.
    """
    figure = open_figure(12, 4)
    epochs = [result.epoch for result in history]
    marker = "o" if len(epochs) <= MARKED_EPOCHS else None
    panels = figure.subplots(1, len(PANELS))
    for axes, (name, title) in zip(panels, PANELS, strict=True):
        for split, color in COLORS.items():
            values = [getattr(getattr(result, split), name) for result in history]
            axes.plot(epochs, values, color=color, marker=marker, markersize=4, label=split)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(whole_numbers())
        axes.grid(visible=True, alpha=0.3)
        if name == "loss":
            axes.set_ylim(bottom=0)
        else:
            axes.set_ylim(-0.02, 1.02)  # room for the dots at 0 and 1
        if name == "mean_average_precision":
            axes.axhline(history[-1].val.chance, color=GRAY, linestyle=":", label="chance (val)")
    figure.legend(*panels[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    save(figure, file)


def validation_charts(
    folder: Path, val: SplitOutcome, card: ModelCard, *, figures: Report, chosen: Sequence[str] = ()
) -> None:
    """Draw the images of an evaluation of the validation split.

    Args:
        folder: for the images.
        val: the outcome of the split with the network that is kept.
        card: of that network; its thresholds and its temperature count.
        figures: of the same outcome with them.
        chosen: as `chosen_on_validation` gives it; the charts say it.

    Raises:
        OSError: the folder cannot be written.
    """
    scores = val.probabilities(temperature=card.temperature)
    calibration = {"as trained": reliability(val.labels, val.probabilities())}
    if card.temperature != 1:
        calibration[f"temperature {card.temperature:.3g}"] = reliability(val.labels, scores)
    missed = missed_together(val.labels, decide(scores, card.decision_threshold))
    flattered = f"; it chose the {' and the '.join(chosen)}" if chosen else ""
    evaluation_charts(
        folder,
        card.classes,
        figures=figures,
        calibration=calibration,
        missed=missed,
        subject=f"validation split, not trained on{flattered}",
    )
