"""What every chart shares: a figure without a window, colours, and a file written whole."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from shards import atomic

if TYPE_CHECKING:
    from pathlib import Path

# told apart by colour-blind people too (Okabe and Ito)
BLUE, ORANGE, SKY = "#0072b2", "#d55e00", "#56b4e9"
GRAY, BLACK = "#7f7f7f", "#1a1a1a"

_LONGEST = 32
"""Letters of a name; a longer one would leave no room for the chart."""


def open_figure(width: float, height: float) -> Figure:
    """An empty figure.

    No pyplot: safe in any thread and on a machine without a screen.

    Args:
        width: inches, of 120 pixels.
        height: inches.
    """
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def say_of_what(figure: Figure, subject: str) -> None:
    """Write above a chart which images it is of; nothing where that is empty."""
    if subject:
        figure.suptitle(subject, fontsize=9, color=GRAY)


def label(name: str) -> str:
    r"""The name of a class as a chart has room for it; '$' is no beginning of a formula."""
    name = " ".join(name.split())
    name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    return name.replace("$", r"\$")


def save(figure: Figure, file: Path) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    png = io.BytesIO()
    with warnings.catch_warnings():
        # letters that the font lacks become boxes; the names stand in the JSON files
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(png, format="png")
    atomic.write(file, png.getvalue())
