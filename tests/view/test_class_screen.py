"""The screen of a class: what a moved threshold gives."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from settling import eventually, expect, wait_until_equal
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score, precision_score, recall_score

from vocscore.cli.main import main
from vocscore.evaluation.predictions import read_predictions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Shown, Visitor
    from playwright.sync_api import Page

    from vocscore.view.server import PageServer

PERSON = 14


def by_sklearn(shown: Shown, c: int, threshold: float) -> dict[str, str]:
    """The figures as texts; images where the class is only difficult do not count."""
    truth = shown.truth[shown.judged, c]
    known = truth >= 0
    guess = shown.drawn.probabilities[shown.judged[known], c] >= np.float32(threshold)
    pair = (truth[known], guess)
    negatives, *others = confusion_matrix(*pair, labels=[0, 1]).ravel().tolist()
    false_positives, false_negatives, positives = others
    return {
        "true positives": str(positives),
        "false positives": str(false_positives),
        "false negatives": str(false_negatives),
        "true negatives": str(negatives),
        "precision": f"{precision_score(*pair, zero_division=0):.3f}",
        "recall": f"{recall_score(*pair, zero_division=0):.3f}",
        "F1": f"{f1_score(*pair, zero_division=0):.3f}",
        "IoU": f"{jaccard_score(*pair, zero_division=0):.3f}",
    }


def on_page(page: Page) -> dict[str, str]:
    """The figures that are shown, all read at one moment."""
    pairs = "all => all.map(one => [one.dataset.name, one.querySelector('b').innerText])"
    return dict(page.locator(".counts .figure").evaluate_all(pairs))


def wait_for(page: Page, want: dict[str, str]) -> None:
    """Wait until the figures are these."""
    wait_until_equal(page, lambda: on_page(page), want)


@pytest.fixture
def page(visitor: Visitor, page_server: PageServer) -> Page:
    """The class 'person'."""
    opened = visitor.open(page_server, f"/class/{PERSON}")
    opened.wait_for_selector(".counts .figure")
    return opened


def test_counts_of_typed_thresholds_are_scikit_learns(page: Page, shown: Shown) -> None:
    """At the ends, at equal probabilities, and between."""
    box = page.get_by_role("spinbutton", name="Threshold")
    wait_for(page, by_sklearn(shown, PERSON, 0.5))
    seen = []
    for threshold in ("0.25", "0.500001", "1", "0", "0.83"):
        box.fill(threshold)
        want = by_sklearn(shown, PERSON, float(threshold))
        wait_for(page, want)
        seen.append(tuple(want.values()))
    assert len(set(seen)) > 3


def test_counts_of_a_moved_slider_are_scikit_learns(page: Page, shown: Shown) -> None:
    """Dragged with the mouse, and moved with keys; the number follows."""
    slider = page.get_by_role("slider", name="Threshold")
    place = page.locator(".q-slider").bounding_box()
    assert place is not None
    height = place["y"] + place["height"] / 2
    page.mouse.move(place["x"] + place["width"] * 0.5, height)
    page.mouse.down()
    for share in (0.45, 0.4, 0.3, 0.2):
        page.mouse.move(place["x"] + place["width"] * share, height)
    page.mouse.up()
    box = page.get_by_role("spinbutton", name="Threshold")

    def shown_by_slider() -> float:
        return float(slider.get_attribute("aria-valuenow") or 0)

    def agree() -> bool:
        """Slider, number and figures; each event of a slider passes through disagreement."""
        value = float(box.input_value())
        same = value == pytest.approx(shown_by_slider())
        return same and on_page(page) == by_sklearn(shown, PERSON, value)

    assert eventually(page, lambda: 0.15 < shown_by_slider() < 0.25 and agree())
    moved = shown_by_slider()
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert eventually(page, lambda: shown_by_slider() > moved and agree())


def test_buttons_find_the_best_thresholds(page: Page, shown: Shown) -> None:
    """The greatest F1; the greatest recall with a precision of 0.9, where there is one."""
    truth = shown.truth[shown.judged, PERSON]
    scores = shown.drawn.probabilities[shown.judged, PERSON][truth >= 0]
    truth = truth[truth >= 0]
    f1 = [f1_score(truth, scores >= t) for t in scores]
    page.get_by_role("button", name="best F1").click()
    assert eventually(page, lambda: on_page(page)["F1"] == f"{max(f1):.3f}")
    good = [
        recall_score(truth, scores >= t)
        for t in scores
        if precision_score(truth, scores >= t) >= 0.9
    ]
    button = page.get_by_role("button", name="precision 0.9")
    assert eventually(page, lambda: button.is_enabled() == bool(good))
    if good:
        button.click()
        assert eventually(page, lambda: on_page(page)["recall"] == f"{max(good):.3f}")
    page.get_by_role("button", name="as predicted").click()
    wait_for(page, by_sklearn(shown, PERSON, 0.5))


def test_images_follow_the_threshold(page: Page, shown: Shown) -> None:
    """The false positives, the most certain first."""
    page.get_by_role("spinbutton", name="Threshold").fill("0.3")
    wait_for(page, by_sklearn(shown, PERSON, 0.3))
    rows = [row for row in shown.judged if shown.truth[row, PERSON] == 0]
    scores = shown.drawn.probabilities[:, PERSON]
    want = sorted((row for row in rows if scores[row] >= np.float32(0.3)), key=lambda r: -scores[r])
    names = [shown.drawn.names[row] for row in want[:12]]

    def found() -> object:
        return page.locator(".strip a.tile").evaluate_all("all => all.map(one => one.title)")

    wait_until_equal(page, found, names)


@pytest.fixture
def saved(shown: Shown) -> Iterator[None]:
    """What is saved beside the predictions is removed."""
    yield
    for name in ("predictions.thresholds.json", "predictions-relabeled.csv"):
        (shown.predictions.parent / name).unlink(missing_ok=True)
    (shown.predictions.parent / "predictions-relabeled.csv.json").unlink(missing_ok=True)


@pytest.mark.usefixtures("saved")
def test_saved_thresholds_are_used_by_the_command_that_is_shown(page: Page, shown: Shown) -> None:
    """It runs as it is printed, and changes the labels of that class only."""
    page.get_by_role("spinbutton", name="Threshold").fill("0.97")
    wait_for(page, by_sklearn(shown, PERSON, 0.97))
    page.get_by_role("button", name="Save thresholds").click()
    commands = page.locator("code.command")
    expect(commands).to_have_count(2)
    file = shown.predictions.with_name("predictions.thresholds.json")
    told = json.loads(file.read_text())
    assert tuple(told) == shown.drawn.classes
    assert told.pop("person") == 0.97
    assert set(told.values()) == {0.5}
    relabel, score = commands.all_inner_texts()
    program, *words = shlex.split(relabel)
    assert program == "vocscore"
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    new = read_predictions(shown.predictions.with_name("predictions-relabeled.csv"))
    limits = np.full(len(shown.drawn.classes), 0.5, np.float32)
    limits[PERSON] = 0.97
    want = (shown.drawn.probabilities >= limits) & ~new.failed[:, None]
    np.testing.assert_array_equal(new.predicted, want)
    options = dict(zip(shlex.split(score)[3::2], shlex.split(score)[4::2], strict=True))
    assert options["--thresholds-file"] == str(file)
    assert shlex.split(score)[2] == str(shown.images)


@pytest.mark.usefixtures("saved")
def test_another_file_is_not_replaced(page: Page, shown: Shown) -> None:
    """One of its name that has no thresholds of these classes."""
    file = shown.predictions.with_name("predictions.thresholds.json")
    file.write_text('{"my": "notes"}')
    page.get_by_role("button", name="Save thresholds").click()
    page.get_by_text("It is not replaced; move it away.").wait_for()
    assert file.read_text() == '{"my": "notes"}'
    assert not page.locator("code.command").count()


def test_there_is_no_class_of_other_numbers(visitor: Visitor, page_server: PageServer) -> None:
    """The page says so."""
    page = visitor.open(page_server, "/class/20")
    page.get_by_text("There is no such class.").wait_for()
    for wrong in ("-1", "%C2%B2"):
        visitor.go(page, page_server, f"/class/{wrong}")
        page.get_by_text("There is no such class.").wait_for()
