"""curves.png: how training went."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from shards import atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vocscore.training.history import EpochResult

PANELS = (
    ("loss", "loss (nats a decision)"),
    ("iou", "IoU"),
    ("mean_average_precision", "mean average precision"),
)
COLOURS = {"train": "#0072b2", "val": "#d55e00"}  # told apart by colour-blind people too
MARKED_EPOCHS = 40
"""Up to so many epochs each has a dot; a single epoch would be invisible without."""


def curves(history: Sequence[EpochResult], file: Path) -> None:
    """Draw loss, IoU and mean average precision of both splits over the epochs.

    No window, no global state: safe in any thread and on a machine without a screen.

    Args:
        history: one result an epoch, at least one.
        file: the PNG to write.

    Raises:
        OSError: the file cannot be written.
    """
    figure = Figure(figsize=(12, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [result.epoch for result in history]
    marker = "o" if len(epochs) <= MARKED_EPOCHS else None
    panels = figure.subplots(1, len(PANELS))
    for axes, (name, title) in zip(panels, PANELS, strict=True):
        for split, colour in COLOURS.items():
            values = [getattr(getattr(result, split), name) for result in history]
            axes.plot(epochs, values, color=colour, marker=marker, markersize=4, label=split)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=True, alpha=0.3)
        if name == "loss":
            axes.set_ylim(bottom=0)
        else:
            axes.set_ylim(-0.02, 1.02)  # room for the dots at 0 and 1
        if name == "mean_average_precision":
            axes.axhline(history[-1].val.chance, color="gray", linestyle=":", label="chance (val)")
    figure.legend(*panels[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    atomic.write(file, png.getvalue())
