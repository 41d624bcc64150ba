"""What every chart shares: a figure of a report's width, colors, names, and files written whole."""

from __future__ import annotations

import functools
import io
import textwrap
import warnings
from itertools import chain
from typing import TYPE_CHECKING

from shards import atomic
from vocscore import caches
from vocscore.errors import ChartError
from vocscore.text_width import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

WIDTH = 6.8
"""Inches: the text of a page of A4 or US Letter."""
TALLEST = 8.0
"""Inches that rows of bars may take, so that a chart with its title and legend fits a page."""
DOTS_PER_INCH = 160

# told apart by color-blind people too (Okabe and Ito)
BLUE, ORANGE, SKY = "#0072b2", "#d55e00", "#56b4e9"
GRAY, BLACK = "#7f7f7f", "#1a1a1a"
# opaque: not every program that shows SVG knows how to mix colors
PALE_BLUE, PALE_ORANGE, PALE_SKY, PALE_GRAY = "#8cc0e0", "#f9e7dc", "#d6ebf9", "#e2e2e2"
FADED_ORANGE = "#eba27b"

TITLE, TEXT, SMALL = 10.0, 8.5, 7.5
"""Points, of letters."""

FORMATS = {"png": (".png",), "svg": (".svg",), "both": (".png", ".svg")}
"""The values of `chart_format`, and the files that each stands for."""

_LONGEST = 32
"""Columns of a name; a longer one would leave no room for the chart."""
_SUBJECT_LETTERS = 105
_OTHER_SCRIPTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans",
    "WenQuanYi Zen Hei",
    "Hiragino Sans",
    "PingFang SC",
    "Apple SD Gothic Neo",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Arial Unicode MS",
)
"""Fonts that systems bring, for letters that matplotlib's own font lacks."""


def chart_files(folder: Path, stem: str, chart_format: str) -> tuple[Path, ...]:
    """The files of one chart.

    Args:
        folder: where they are.
        stem: their name without what is behind the dot.
        chart_format: one of `FORMATS`.
    """
    return tuple(folder / f"{stem}{suffix}" for suffix in FORMATS[chart_format])


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


def open_figure(height: float) -> Figure:
    """An empty figure, `WIDTH` wide.

    No pyplot: safe in any thread and on a machine without a screen.

    Args:
        height: inches.

    Raises:
        ChartError: see `require_matplotlib`.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def say_of_what(figure: Figure, subject: str) -> None:
    """Write above a chart which images it is of; nothing where that is empty."""
    if subject:
        lines = textwrap.fill(label(subject, longest=4 * _SUBJECT_LETTERS), _SUBJECT_LETTERS)
        figure.suptitle(lines, fontsize=SMALL, color=GRAY)


def put_legend(figure: Figure, axes: Axes | None = None, *, ncols: int) -> None:
    """Explain below a chart what has a label, in all of it or in `axes`; nothing where none has."""
    panels = figure.axes if axes is None else [axes]
    named = [panel.get_legend_handles_labels() for panel in panels]
    handles, texts = (list(chain.from_iterable(part)) for part in zip(*named, strict=True))
    if handles:
        figure.legend(
            handles, texts, loc="outside lower center", ncols=ncols, fontsize=SMALL, framealpha=1
        )


def whole_numbers() -> MaxNLocator:
    """Puts an axis's ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def label(name: str, *, longest: int = _LONGEST) -> str:
    """The name of a class as a chart has room for it, on one line."""
    return shorten(" ".join(name.split()), longest)


def save(figure: Figure, files: Sequence[Path]) -> None:
    """Write a figure, each file whole or not at all; the same figure gives the same bytes.

    Args:
        figure: what is drawn.
        files: names that end in .png or .svg.

    Raises:
        OSError: a file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_fontfamily(_families())
        text.set_parse_math(False)  # '$' in a name does not begin a formula
    for file in files:
        drawn = io.BytesIO()
        kind = file.suffix.removeprefix(".")
        date = {"Date": None} if kind == "svg" else None
        with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": "vocscore"}):
            # letters that the fonts lack become boxes; the names are in the JSON files
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(drawn, format=kind, metadata=date)
        atomic.write(file, drawn.getvalue())


@functools.cache
def _families() -> tuple[str, ...]:
    """The fonts that a letter is looked for in, one after the other."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed))
