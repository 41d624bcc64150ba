"""A page with drawn predictions, and a browser that can reach nothing but this machine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pytest
from written_predictions import HOSTILE, draw

import vocscore
from shards.manifest import read_manifest
from vocscore.evaluation.labeled import load_labeled
from vocscore.view.opening import open_subjects
from vocscore.view.server import PageServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from playwright.sync_api import Browser, BrowserContext, Page
    from written_predictions import Drawn

    from vocscore.view.session import Subject

FAILING = (3, 50)
"""Rows of `Shown` with errors: one with labels, one of a hostile name."""
_BEHIND_A_PROXY_THAT_IS_NOT_THERE = {"server": "http://127.0.0.1:9", "bypass": "127.0.0.1"}


@dataclass(frozen=True)
class Shown:
    """Predictions on disk, with what is true of them.

    Attributes:
        predictions: CSV, with a record that names `images`.
        labels: the packed set of the first images; the others have hostile names and no labels.
        images: the folder with all of them.
        drawn: the predictions.
        truth: int8 (M, C), the labels of the first M rows.
        judged: the rows that figures cover: of other splits than train, without errors.
    """

    predictions: Path
    labels: Path
    images: Path
    drawn: Drawn
    truth: NDArray[np.int8]
    judged: NDArray[np.intp]

    def open(self, *, labels: bool = True) -> tuple[Subject, ...]:
        """As `vocscore view` does."""
        return open_subjects(
            [self.predictions], labels=self.labels if labels else None, images=None
        )


@pytest.fixture(scope="session")
def shown(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Predictions for 48 drawn images with labels and 6 hostile names, two of all being errors."""
    folder = tmp_path_factory.mktemp("shown")
    vocscore.pack(voc_tree, folder / "shards", progress=False)
    manifest = read_manifest(folder / "shards")
    labeled = load_labeled(folder / "shards", list(manifest.splits))
    images = folder / "images"
    shutil.copytree(voc_tree, images)
    names = [*labeled.names, *(name for name in HOSTILE if not name.startswith(".."))]
    for name in names[len(labeled.names) :]:
        (images / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(images / names[0], images / name)
    drawn = draw(len(names), manifest.classes, names=names, failing=FAILING, seed=7)
    count = len(labeled.names)
    hits = (labeled.labels == 1) & ~np.isin(np.arange(count), FAILING)[:, None]
    drawn.probabilities[:count][hits] **= np.float32(0.3)  # a model that knows something
    record = drawn.record(source={"given": "images", "path": str(images)})
    predictions = drawn.write(folder / "predictions.csv", record=record)
    train = labeled.splits.index("train")
    fine = (labeled.belongs != train) & ~np.isin(np.arange(count), FAILING)
    judged = np.flatnonzero(fine)
    return Shown(predictions, folder / "shards", images, drawn, labeled.labels, judged)


@pytest.fixture(scope="module")
def page_server(shown: Shown) -> Iterator[PageServer]:
    """The page of `shown`, in a thread of this process, which has one page at a time."""
    pytest.importorskip("nicegui", reason="needs NiceGUI: pip install 'vocscore[view]'")
    with PageServer(shown.open()) as served:
        yield served


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox"],
            proxy=_BEHIND_A_PROXY_THAT_IS_NOT_THERE,
        )
        yield started
        started.close()


class Visitor:
    """Opens tabs, and notes what they ask for and complain about.

    Attributes:
        requests: every address asked for.
        complaints: errors in pages.
    """

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self._pages: list[Page] = []
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def open(self, served: PageServer, path: str = "/") -> Page:
        """Open a tab on a screen; the first one with the token."""
        page = self._context.new_page()
        self._pages.append(page)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        known = (one.get("value") for one in self._context.cookies())
        if served.access.token not in known:
            page.goto(served.address)
            page.wait_for_url(origin(served) + "/")
        self.go(page, served, path)
        return page

    @staticmethod
    def go(page: Page, served: PageServer, path: str) -> None:
        """Go to a screen, as by typing its address."""
        page.goto(origin(served) + path)
        page.wait_for_selector(".screen")

    def leave(self) -> None:
        """Close the tabs."""
        for page in self._pages:
            page.close()


def origin(served: PageServer) -> str:
    """Scheme, host and port."""
    parts = urlsplit(served.address)
    return f"{parts.scheme}://{parts.netloc}"


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """A profile for all tests, so that scripts are loaded once."""
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    made.set_default_timeout(10_000)
    yield made
    made.close()


@pytest.fixture
def visitor(profile: BrowserContext) -> Iterator[Visitor]:
    """At the end, no tab has asked another machine for anything or has had an error."""
    made = Visitor(profile)
    yield made
    made.leave()
    elsewhere = [url for url in made.requests if urlsplit(url).hostname not in {"127.0.0.1", None}]
    assert not elsewhere
    assert not made.complaints
