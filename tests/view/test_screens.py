"""Every screen: names are text, nothing overflows, keys suffice, tabs are independent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from settling import eventually, expect
from sklearn.metrics import average_precision_score, precision_score, recall_score

import vocscore

if TYPE_CHECKING:
    from conftest import Shown, Visitor
    from playwright.sync_api import Page

    from vocscore.view.server import PageServer

SCREENS = ("/", "/gallery", "/class", "/class/14", "/show/0/0", "/suspects", "/bad-inputs")
_IS_LIGHT = "+getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 128"
HOSTILE_ROWS = (50, 51, 52)


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def figures(page: Page) -> dict[str, str]:
    """Name -> value of the figures on the overview."""
    pairs = "all => all.map(one => ['span', 'b'].map(part => one.querySelector(part).innerText))"
    return dict(page.locator(".figure").evaluate_all(pairs))


def test_figures_of_the_overview_are_those_of_eval(
    visitor: Visitor, page_server: PageServer, shown: Shown
) -> None:
    """And scikit-learn's; intervals follow."""
    page = visitor.open(page_server)
    page.get_by_text("95% intervals").wait_for()
    found = figures(page)
    assert found["images"] == str(len(shown.drawn.names))
    assert found["errors"] == "2"
    assert found["held-out images"] == str(len(shown.judged))
    report = vocscore.evaluate(shown.predictions, shown.labels)
    assert found["mAP"] == f"{report.figures.mean_average_precision:.3f}"
    truth, scores = shown.truth[shown.judged], shown.drawn.probabilities[shown.judged]
    known = truth >= 0
    pair = (truth[known], scores[known] >= 0.5)
    assert found["precision, all decisions"] == f"{precision_score(*pair):.3f}"
    assert found["recall, all decisions"] == f"{recall_score(*pair):.3f}"
    page.get_by_text("Average precision per class").wait_for()
    points = [
        average_precision_score(truth[k, c], scores[k, c])
        for c, k in enumerate(known.T)
        if (truth[k, c] == 1).any()
    ]
    assert found["mAP"] == f"{sum(points) / len(points):.3f}"


def test_the_overview_leads_to_errors_and_classes(
    visitor: Visitor, page_server: PageServer, shown: Shown
) -> None:
    """A reason opens its rows; a bar of a chart opens its class."""
    page = visitor.open(page_server)
    page.get_by_role("link", name="truncated").click()
    page.get_by_text("1 image of 54").wait_for()
    name = shown.drawn.names[50].replace("\n", "\\n")
    expect(page.locator("a.tile")).to_have_attribute("title", name)
    page.go_back()
    canvas = page.locator(".panels canvas").first

    def click_opens_a_class() -> bool:
        """Click where a bar comes to be, which is drawn some time after its canvas is there.

        With the mouse, and not on the canvas: once the click has worked, that is gone. Where it is
        is asked each time: what is above it may still grow.
        """
        if page.url.endswith("/") and canvas.count():
            place = canvas.bounding_box()
            if place is not None:
                page.mouse.click(place["x"] + 150, place["y"] + 18)
        return bool(re.search(r"/class/\d+$", page.url))

    assert eventually(page, click_opens_a_class)


def test_hostile_names_are_shown_as_text(visitor: Visitor, page_server: PageServer) -> None:
    """Tags, quotes, line ends and bytes that are not UTF-8, in tiles, on their own screen, in
    addresses; images are found by their row.
    """
    page = visitor.open(page_server, "/gallery?text=script")
    page.get_by_text("1 image of 54").wait_for()
    assert page.locator(".tile .path").inner_text() == "<script>alert(1)</script>.jpg"
    assert not page.locator(".screen script").count()
    shown_names = []
    for row in HOSTILE_ROWS:
        visitor.go(page, page_server, f"/show/0/{row}")
        shown_names.append(page.locator(".path-line").inner_text())
        image = page.locator("img.large")
        image.wait_for()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert "line\\nend.jpg" in shown_names
    assert "caf\\xe9.jpg" in shown_names
    assert 'quote" comma, and; semicolon.jpg' in shown_names


@pytest.mark.parametrize("text", ["caf\udce9", "<b>&amp;", "line"])
def test_the_filter_takes_any_text(visitor: Visitor, page_server: PageServer, text: str) -> None:
    """From an address; it stays text in the field."""
    given = "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogateescape"))
    page = visitor.open(page_server, f"/gallery?text={given}")
    page.get_by_role("status").get_by_text(re.compile(r"\d images? of 54")).wait_for()
    assert not page.locator(".screen b").count()


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_overflows(visitor: Visitor, page_server: PageServer, screen: str) -> None:
    """On a desk and on a phone, in the scheme that the system has."""
    page = visitor.open(page_server, screen)
    for width, scheme in ((1280, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        page.wait_for_function(_IS_LIGHT if scheme == "light" else f"!({_IS_LIGHT})")


def test_light_and_dark_can_be_chosen(visitor: Visitor, page_server: PageServer) -> None:
    """With the button; a reload keeps it."""
    page = visitor.open(page_server, "/class")
    page.emulate_media(color_scheme="light")
    page.wait_for_function(_IS_LIGHT)
    light = background(page)
    button = page.get_by_role("button", name="Light, dark or automatic")
    button.click()
    page.wait_for_function(
        "before => getComputedStyle(document.body).backgroundColor != before", arg=light
    )
    dark = background(page)
    page.reload()
    page.wait_for_selector(".screen")
    page.wait_for_function(
        "dark => getComputedStyle(document.body).backgroundColor == dark", arg=dark
    )
    button.click()
    page.wait_for_function(
        "light => getComputedStyle(document.body).backgroundColor == light", arg=light
    )


def test_two_tabs_are_independent(visitor: Visitor, page_server: PageServer) -> None:
    """A threshold moved in one is not moved in the other, and survives a reload in its own."""
    one = visitor.open(page_server, "/class/3")
    two = visitor.open(page_server, "/class/3")
    box = one.get_by_role("spinbutton", name="Threshold")
    box.fill("0.25")
    one.get_by_text("1 class with another threshold").wait_for()
    two.reload()
    two.get_by_text("thresholds as in the predictions").wait_for()
    expect(two.get_by_role("spinbutton", name="Threshold")).to_have_value("0.5")
    one.reload()
    one.get_by_text("1 class with another threshold").wait_for()
    expect(box).to_have_value("0.25")


def test_keys_suffice(visitor: Visitor, page_server: PageServer, shown: Shown) -> None:
    """From the overview into the gallery, an image, the next one, and back."""
    page = visitor.open(page_server)

    def tab_to(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("what => document.activeElement.matches(what)", selector):
                return
        pytest.fail(f"no Tab reaches {selector}")

    tab_to('nav a[href="/gallery"]')
    page.keyboard.press("Enter")
    page.get_by_text("52 images of 54").wait_for()
    tab_to("a.tile")
    page.keyboard.press("Enter")
    page.get_by_text("1 of 52").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("2 of 52").wait_for()
    expect(page.locator(".path-line")).to_have_text(shown.drawn.names[1])
    page.keyboard.press("k")
    page.get_by_text("1 of 52").wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("52 images of 54").wait_for()
