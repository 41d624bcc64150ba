"""What every chart shares: a figure without a window, colors, and a file written whole."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from shards import atomic
from vocscore import caches
from vocscore.errors import ChartError

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

# told apart by color-blind people too (Okabe and Ito)
BLUE, ORANGE, SKY = "#0072b2", "#d55e00", "#56b4e9"
GRAY, BLACK = "#7f7f7f", "#1a1a1a"

_LONGEST = 32
"""Letters of a name; a longer one would leave no room for the chart."""


def require_matplotlib() -> None:
    """Load the library that draws, with its cache in ours.

    Raises:
        ChartError: it is not installed, or its installation is broken.
    """
    caches.settle_matplotlib()
    try:
        import matplotlib.backends.backend_agg
        import matplotlib.ticker  # noqa: F401 - loaded here, used below
    except Exception as error:  # a broken installation may raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ChartError(
            f"matplotlib, which draws the charts, cannot be loaded ({reason}). "
            "Install it: pip install --upgrade --force-reinstall matplotlib"
        ) from error


def open_figure(width: float, height: float) -> Figure:
    """An empty figure.

    No pyplot: safe in any thread and on a machine without a screen.

    Args:
        width: inches, of 120 pixels.
        height: inches.

    Raises:
        ChartError: see `require_matplotlib`.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def say_of_what(figure: Figure, subject: str) -> None:
    """Write above a chart which images it is of; nothing where that is empty."""
    if subject:
        figure.suptitle(subject, fontsize=9, color=GRAY)


def whole_numbers() -> MaxNLocator:
    """Puts an axis's ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


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
