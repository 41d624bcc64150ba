"""Suspicious labels are shown most suspicious first, and corrected with keys."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from settling import wait_until_equal

from shards.corrections import read_corrections
from vocscore.evaluation.suspects import self_confidence
from vocscore.view.opening import open_subjects

pytest.importorskip("nicegui", reason="needs NiceGUI: pip install 'vocscore[view]'")
from vocscore.view.server import PageServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Shown, Visitor
    from playwright.sync_api import Page


@pytest.fixture
def predictions(shown: Shown, tmp_path: Path) -> Path:
    """A copy of the predictions, beside which corrections are written."""
    return shutil.copy(shown.predictions, tmp_path / "p.csv")


@pytest.fixture
def served(shown: Shown, predictions: Path) -> Iterator[PageServer]:
    subjects = open_subjects([predictions], labels=shown.labels, images=shown.images)
    with PageServer(subjects) as page_server:
        yield page_server


def expected(shown: Shown, served: PageServer) -> list[tuple[int, int]]:
    """Row and class of each suspicious label, sorted in a loop."""
    labels = served.subjects[0].labels
    assert labels is not None
    found = []
    for row in np.flatnonzero(labels.held_out):
        confidence = self_confidence(
            shown.truth[row : row + 1], shown.drawn.probabilities[row : row + 1]
        )[0]
        found += [(float(q), int(row), c) for c, q in enumerate(confidence) if q < 0.5]
    return [(row, c) for _, row, c in sorted(found)]


def current(page: Page) -> tuple[str, ...]:
    """Class, label and path of the label that is shown."""
    read = """() => ['.panel .figure b', '.panel .path-line'].map(
        what => [...document.querySelectorAll(what)].map(one => one.innerText))"""
    figures, paths = page.evaluate(read)
    return *figures[:2], *paths[:1]


def test_keys_correct_drop_and_take_back(
    visitor: Visitor, served: PageServer, shown: Shown, predictions: Path
) -> None:
    """Each key writes at once what `pack --corrections` reads, and goes on to the next label."""
    want = expected(shown, served)
    page = visitor.open(served, "/suspects")
    page.get_by_text(f"1 of {len(want):,}").wait_for()
    classes, names = shown.drawn.classes, shown.drawn.names
    words = {1: "present", 0: "absent"}
    file = predictions.with_name("p.corrections.csv")
    for at, key in enumerate("cd"):
        row, c = want[at]
        told = (classes[c], words[int(shown.truth[row, c])], names[row])
        wait_until_equal(page, lambda: current(page), told)
        page.keyboard.press(key)
        page.get_by_text(f"{at + 2} of {len(want):,}").wait_for()
    found = read_corrections(file)
    (row, c), (dropped, _) = want[:2]
    assert found.values == {names[row]: {classes[c]: 1 - int(shown.truth[row, c])}}
    assert found.dropped == {names[dropped]}
    for at in (2, 1):
        page.keyboard.press("ArrowLeft")
        page.get_by_text(f"{at} of {len(want):,}").wait_for()
        page.keyboard.press("u")
        page.get_by_text("not corrected").wait_for()
    found = read_corrections(file)
    assert found.values == {names[row]: {classes[c]: int(shown.truth[row, c])}}
    assert not found.dropped


def test_a_foreign_file_is_not_written_to(
    visitor: Visitor, served: PageServer, predictions: Path
) -> None:
    """What is beside the predictions under that name may be somebody's."""
    file = predictions.with_name("p.corrections.csv")
    file.write_text("my notes\n")
    page = visitor.open(served, "/suspects")
    page.get_by_text("Move it away").first.wait_for()
    page.keyboard.press("c")
    page.locator(".q-notification").wait_for()
    assert file.read_text() == "my notes\n"
