"""The gallery: what its filters show, in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
from settling import expect, wait_until_equal

if TYPE_CHECKING:
    import pytest
    from conftest import Shown, Visitor
    from playwright.sync_api import Page

    from vocscore.view.server import PageServer

PERSON = 14


def titles(page: Page) -> list[str]:
    """Paths of the thumbnails, in order."""
    found = page.locator("a.tile").evaluate_all("all => all.map(one => one.title)")
    return [str(title) for title in found]


def choose(page: Page, field: str, option: str) -> None:
    """Choose from a list."""
    page.get_by_role("combobox", name=field).click()
    page.get_by_role("option", name=option).click()


def test_chosen_filters_select_and_sort(
    visitor: Visitor, page_server: PageServer, shown: Shown
) -> None:
    """Missed images of a class, by probability; a link with the same address shows the same."""
    page = visitor.open(page_server, "/gallery")
    choose(page, "Class", "person")
    choose(page, "Show", "missed")
    choose(page, "Sort by", "probability")
    page.get_by_role("switch", name="largest first").click()
    scores = shown.drawn.probabilities[:, PERSON]
    count = len(shown.truth)
    missed = (shown.truth[:, PERSON] == 1) & (scores[:count] < np.float32(0.5))
    missed[[row for row in shown.drawn.failures if row < count]] = False
    rows = sorted(np.flatnonzero(missed), key=lambda row: -scores[row])
    want = [shown.drawn.names[row] for row in rows]
    page.wait_for_function("document.location.search.includes('order=descending')")
    wait_until_equal(page, lambda: titles(page), want)
    assert want
    address = urlsplit(page.url)
    again = visitor.open(page_server, f"{address.path}?{address.query}")
    wait_until_equal(again, lambda: titles(again), want)


def test_keys_turn_pages(
    visitor: Visitor, page_server: PageServer, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forward, back, to the ends; every image without an error is on one page."""
    monkeypatch.setattr("vocscore.view.screens.gallery.PAGE_SIZE", 20)
    page = visitor.open(page_server, "/gallery")
    names = (name for row, name in enumerate(shown.drawn.names) if row not in shown.drawn.failures)
    fine = [name.replace("\n", "\\n").replace("\udce9", "\\xe9") for name in names]
    for number, key in enumerate(("", "ArrowRight", "ArrowRight")):
        if key:
            page.keyboard.press(key)
        page.get_by_text(f"page {number + 1} of 3").wait_for()
        wait_until_equal(page, lambda: titles(page), fine[20 * number : 20 * (number + 1)])
    assert 40 < len(fine) <= 60
    for key, number in (("ArrowRight", 3), ("Home", 1), ("ArrowLeft", 1), ("End", 3)):
        page.keyboard.press(key)
        page.get_by_text(f"page {number} of 3").wait_for()


def test_an_image_shows_its_probabilities(
    visitor: Visitor, page_server: PageServer, shown: Shown
) -> None:
    """All of them, the largest first, with its path, size and labels."""
    page = visitor.open(page_server, "/show/0/30")
    page.get_by_text("160 x 120 pixels").wait_for()
    expect(page.locator(".bars .row-value")).to_have_count(len(shown.drawn.classes))
    values = page.locator(".bars .row-value").all_inner_texts()
    want = sorted((float(p) for p in shown.drawn.probabilities[30]), reverse=True)
    assert [text.split(" ")[0] for text in values] == [f"{value:.3f}" for value in want]
    present = [text for text in values if "present" in text]
    assert len(present) == int((shown.truth[30] == 1).sum())
    expect(page.locator(".path-line")).to_have_text(shown.drawn.names[30])
