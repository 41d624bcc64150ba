"""The charts of a run: the training curves, and the evaluation of the kept network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.charts.canvas import (
    BLUE,
    GRAY,
    ORANGE,
    PALE_GRAY,
    SMALL,
    TEXT,
    TITLE,
    chart_files,
    open_figure,
    put_legend,
    save,
    whole_numbers,
)
from vocscore.charts.evaluation_charts import evaluation_charts
from vocscore.config.evaluating import BootstrapConfig
from vocscore.evaluation.bootstrap import bootstrap
from vocscore.evaluation.calibration import reliability
from vocscore.evaluation.mistakes import missed_together

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vocscore.evaluation.metrics import Report
    from vocscore.models.card import ModelCard
    from vocscore.training.history import EpochResult
    from vocscore.training.trainer import SplitOutcome

CURVES = "curves"
PANELS = (
    ("loss", "loss (nats per decision)"),
    ("iou", "IoU (0 to 1)"),
    ("mean_average_precision", "mAP (0 to 1)"),
)
STYLES = {"train": (BLUE, "o", "-"), "val": (ORANGE, "s", "--")}
MARKED_EPOCHS = 40
"""Up to this many epochs, each has a dot; a single epoch would be invisible without."""
MOST_DECISIONS = 2_000_000
"""Labels of a validation split up to which its bars get intervals, at about 6 us each."""


def curves(history: Sequence[EpochResult], folder: Path, *, chart_format: str = "png") -> None:
    """Draw loss, IoU and mean average precision of both splits over the epochs.

    Args:
        history: one result per epoch, at least one.
        folder: for the chart, whose file name is `CURVES`.
        chart_format: 'png', 'svg' or 'both'.

    Raises:
        OSError: the folder cannot be written.
    """
    figure = open_figure(2.6)
    epochs = [result.epoch for result in history]
    marked = len(epochs) <= MARKED_EPOCHS
    panels = figure.subplots(1, len(PANELS))
    for axes, (name, title) in zip(panels, PANELS, strict=True):
        for split, (color, marker, line) in STYLES.items():
            values = [getattr(getattr(result, split), name) for result in history]
            axes.plot(
                epochs, values, color=color, linestyle=line, linewidth=1.2, label=split,
                marker=marker if marked else None, markersize=3,
            )  # fmt: skip
        axes.set_ylabel(title, fontsize=TEXT)
        axes.set_xlabel("epoch", fontsize=TEXT)
        axes.tick_params(labelsize=SMALL)
        axes.xaxis.set_major_locator(whole_numbers())
        axes.grid(visible=True, color=PALE_GRAY)
        if name == "loss":
            axes.set_ylim(bottom=0)
        else:
            axes.set_ylim(-0.02, 1.02)  # room for the dots at 0 and 1
        if name == "mean_average_precision":
            axes.axhline(history[-1].val.chance, color=GRAY, linestyle=":", label="chance (val)")
    figure.suptitle("Training and validation split, by epoch", fontsize=TITLE)
    put_legend(figure, panels[-1], ncols=3)
    save(figure, chart_files(folder, CURVES, chart_format))


def validation_charts(
    folder: Path,
    val: SplitOutcome,
    card: ModelCard,
    *,
    figures: Report,
    chosen: Sequence[str] = (),
    chart_format: str = "png",
) -> None:
    """Draw the charts of an evaluation on the validation split.

    Args:
        folder: for the charts.
        val: the outcome of the split with the kept network.
        card: of that network, for its thresholds and temperature.
        figures: the metrics of the same outcome with them.
        chosen: as `chosen_on_validation` returns it; shown in the charts.
        chart_format: 'png', 'svg' or 'both'.

    Raises:
        OSError: the folder cannot be written.
    """
    scores = val.probabilities(temperature=card.temperature)
    calibration = {"as trained": reliability(val.labels, val.probabilities())}
    if card.temperature != 1:
        calibration[f"temperature {card.temperature:.3g}"] = reliability(val.labels, scores)
    decided = card.decide(scores)
    # the same resampling as `vocscore eval`, so that both give the same intervals
    draws = {"resamples": BootstrapConfig.resamples, "seed": BootstrapConfig.seed}
    affordable = val.labels.size <= MOST_DECISIONS
    flattered = f"; it chose the {' and the '.join(chosen)}" if chosen else ""
    evaluation_charts(
        folder,
        card.classes,
        figures=figures,
        intervals=bootstrap(val.labels, scores, decided, **draws) if affordable else None,
        calibration=calibration,
        missed=missed_together(val.labels, decided),
        subject=f"validation split, not trained on{flattered}",
        chart_format=chart_format,
    )
