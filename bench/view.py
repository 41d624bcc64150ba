"""The page over a million rows: reading, each action, and in a real browser.

Columns and queries are timed in this process; the browser is Debian's Chromium through Playwright,
which has no images to show (the rows' files do not exist), only their tiles.
"""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.outcome import Outcome, held
from bench.product import write_rows
from bench.timing import Rate
from vocscore import caches
from vocscore.columns.curve import class_curve
from vocscore.columns.open import open_table
from vocscore.columns.query import Query, select
from vocscore.scoring.output.rows import Rows
from vocscore.view.opening import open_subjects
from vocscore.view.server import PageServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from bench.contests import Options
    from vocscore.columns.table import Table

ROWS, CLASSES = 1_000_000, 20
_BLOCK = 1 << 15
READ, GRID, ACTION, MEGABYTES = 15.0, 3.0, 0.3, 600
"""Limits: seconds, and anonymous memory in addition to that of the libraries."""
ACTIONS = {
    "class and kind": Query(3, "predicted", sort="score", descending=True),
    "unsure, any class": Query(kind="unsure", sort="margin"),
    "most probable first": Query(sort="score", descending=True),
    "text in the path": Query(text="123"),
}


def run(options: Options) -> Iterator[Outcome]:
    """Time the page over synthetic predictions."""
    rows, libraries = options.images or ROWS, _anonymous_megabytes()
    file = write_predictions(options.scratch / "predictions.parquet", rows)
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        found = work()
        seconds.setdefault(name, []).append(time.perf_counter() - begun)
        return found

    for _ in range(options.repeats):
        _forget()
        table: Table = timed("read Parquet into columns", partial(open_table, file))
        timed("open columns again", partial(open_table, file))
        for name, query in ACTIONS.items():
            timed(name, partial(select, table, None, table.thresholds, query))
        timed("sort a class", partial(class_curve, table, None, 3))
    absent = _in_browser(file, timed, options.repeats)
    rates = {name: Rate(tuple(values)) for name, values in seconds.items()}
    actions = max(rates[name].median for name in (*ACTIONS, "sort a class"))
    reading, memory = rates["read Parquet into columns"].median, _anonymous_megabytes() - libraries
    grid = rates["browser: first grid"].median if "browser: first grid" in rates else 0.0
    yield Outcome(
        contest="view",
        title=f"view, {rows:,} rows and {CLASSES} classes",
        rates=rates,
        unit="s",
        absent=absent,
        key={"rows": str(rows), "classes": str(CLASSES)},
        facts={"anonymous_megabytes": memory, "of_libraries_before": libraries},
        lines=(
            f"reading at most {READ:g} s: {held(reading <= READ)}",
            f"first grid at most {GRID:g} s: {held(grid <= GRID)}",
            f"each action at most {ACTION:g} s: {held(actions <= ACTION)}",
            f"memory {memory:.0f} MB, at most {MEGABYTES}: {held(memory <= MEGABYTES)}",
        ),
    )


def write_predictions(file: Path, rows: int) -> Path:
    """Write random predictions as `vocscore score` does, in blocks."""
    generator = np.random.default_rng(0)

    def blocks() -> Iterator[Rows]:
        for start in range(0, rows, _BLOCK):
            numbers = range(start, min(rows, start + _BLOCK))
            values = generator.beta(0.3, 2, (len(numbers), CLASSES)).astype(np.float32)
            yield Rows([f"images/{n // 1000:04d}/{n:07d}.jpg" for n in numbers], values, {})

    return write_rows(file, [f"class{c:02d}" for c in range(CLASSES)], blocks())


def _in_browser(file: Path, timed: Callable[..., Any], repeats: int) -> dict[str, str]:
    """Time the page in Chromium; what could not run, with the reason."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {"browser": "not installed: pip install playwright"}
    if chromium is None:
        return {"browser": "not installed: apt-get install chromium"}
    subjects = open_subjects([file], labels=None, images=None)
    with PageServer(subjects) as page_server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        gallery = page_server.address.partition("/open")[0] + "/gallery"
        for _ in range(repeats):
            page = browser.new_context().new_page()
            page.goto(page_server.address)
            page.wait_for_selector(".screen")
            timed("browser: first grid", partial(_open, page, gallery))
            timed("browser: next page", partial(_turn, page))
        browser.close()
    return {}


def _open(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("a.tile")


def _turn(page: Page) -> None:
    page.keyboard.press("ArrowRight")
    page.get_by_text("page 2 of").wait_for()


def _forget() -> None:
    """Remove the columns that earlier repeats have left."""
    folder = caches.folder()
    if folder is not None:
        shutil.rmtree(folder / "columns", ignore_errors=True)


def _anonymous_megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1000
