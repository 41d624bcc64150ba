"""Shared by all charts: figures of a report's width, colors, labels, and atomic writes."""

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
"""Inches: the text width of a page of A4 or US Letter."""
TALLEST = 8.0
"""Inches for all rows of bars, so that a chart with title and legend fits a page."""
DOTS_PER_INCH = 160

# distinguishable for color-blind people (Okabe and Ito)
BLUE, ORANGE, SKY = "#0072b2", "#d55e00", "#56b4e9"
GRAY, BLACK = "#7f7f7f", "#1a1a1a"
# opaque: not every SVG viewer can blend colors
PALE_BLUE, PALE_ORANGE, PALE_SKY, PALE_GRAY = "#8cc0e0", "#f9e7dc", "#d6ebf9", "#e2e2e2"
FADED_ORANGE = "#eba27b"

TITLE, TEXT, SMALL = 10.0, 8.5, 7.5
"""Font sizes in points."""

FORMATS = {"png": (".png",), "svg": (".svg",), "both": (".png", ".svg")}
"""The values of `chart_format`, and the suffixes of their files."""

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
"""Fonts of common systems for glyphs that matplotlib's own font lacks."""


def chart_files(folder: Path, stem: str, chart_format: str) -> tuple[Path, ...]:
    """The files of one chart.

    Args:
        folder: where they are.
        stem: the file name without its suffix.
        chart_format: one of `FORMATS`.
    """
    return tuple(folder / f"{stem}{suffix}" for suffix in FORMATS[chart_format])


def require_matplotlib() -> None:
    """Load matplotlib, with its cache in vocscore's cache folder.

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
    """Make an empty figure, `WIDTH` wide.

    Without pyplot: safe in any thread and on a machine without a screen.

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
    """Write above a chart which images it covers; nothing if `subject` is empty."""
    if subject:
        lines = textwrap.fill(label(subject, longest=4 * _SUBJECT_LETTERS), _SUBJECT_LETTERS)
        figure.suptitle(lines, fontsize=SMALL, color=GRAY)


def put_legend(figure: Figure, axes: Axes | None = None, *, ncols: int) -> None:
    """Put a legend below a chart, for the labels of all axes or of `axes`; none without labels."""
    panels = figure.axes if axes is None else [axes]
    named = [panel.get_legend_handles_labels() for panel in panels]
    handles, texts = (list(chain.from_iterable(part)) for part in zip(*named, strict=True))
    if handles:
        figure.legend(
            handles, texts, loc="outside lower center", ncols=ncols, fontsize=SMALL, framealpha=1
        )


def whole_numbers() -> MaxNLocator:
    """Make a locator that puts ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def label(name: str, *, longest: int = _LONGEST) -> str:
    """Shorten the name of a class to fit a chart, on one line."""
    return shorten(" ".join(name.split()), longest)


def save(figure: Figure, files: Sequence[Path]) -> None:
    """Write a figure, each file atomically; the same figure gives the same bytes.

    Args:
        figure: what to write.
        files: names that end in .png or .svg.

    Raises:
        OSError: a file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_fontfamily(_families())
        text.set_parse_math(False)  # '$' in a name does not start a formula
    for file in files:
        drawn = io.BytesIO()
        kind = file.suffix.removeprefix(".")
        date = {"Date": None} if kind == "svg" else None
        with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": "vocscore"}):
            # glyphs missing from all fonts become boxes; the names are in the JSON files
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(drawn, format=kind, metadata=date)
        atomic.write(file, drawn.getvalue())


@functools.cache
def _families() -> tuple[str, ...]:
    """The font families to search for a glyph, in order."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed))
