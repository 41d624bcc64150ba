"""Predictions of few rows, of errors only, and of classes with any name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from written_predictions import HOSTILE, draw

from vocscore.view.opening import open_subjects

pytest.importorskip("nicegui", reason="needs NiceGUI: pip install 'vocscore[view]'")
from vocscore.view.server import PageServer

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Visitor

NAMES = ("<script>alert(1)</script>", "a;b", "new\nline", "caf\udce9", "x" * 300, "\"'&amp;{0}")
SCREENS = ("/", "/gallery", "/class", "/class/4", "/show/0/0", "/bad-inputs", "/two-runs")


@pytest.mark.parametrize(
    "drawn",
    [
        pytest.param({"rows": 0}, id="no rows"),
        pytest.param({"rows": 5, "failing": range(5)}, id="errors only", marks=pytest.mark.slow),
        pytest.param(
            {"rows": 9, "classes": NAMES, "names": HOSTILE, "failing": (2,)}, id="odd classes"
        ),
    ],
)
def test_every_screen_is_shown(drawn: dict[str, Any], visitor: Visitor, tmp_path: Path) -> None:
    """Without an error in it, and on a phone without scrolling sideways; names are text."""
    made = draw(**drawn)
    file = made.write(tmp_path / "p.parquet", record=made.record())
    with PageServer(open_subjects([file], labels=None, images=None)) as served:
        page = visitor.open(served)
        page.set_viewport_size({"width": 390, "height": 900})
        for screen in SCREENS:
            visitor.go(page, served, screen)
            page.wait_for_load_state("networkidle")
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, screen
            assert not page.get_by_text("sorting", exact=True).count(), screen
            assert not page.get_by_text("comparing", exact=True).count(), screen
            assert not page.locator(".screen script").count(), screen
