"""Two runs beside each other on the page: the figures are those of `vocscore compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import vocscore as vs
from vocscore.view.opening import open_subjects

pytest.importorskip("nicegui", reason="needs NiceGUI: pip install 'vocscore[view]'")
from settling import expect, wait_until_equal
from written_predictions import draw

from vocscore.view.server import PageServer

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shown, Visitor


def test_changed_decisions_are_those_of_compare(
    visitor: Visitor, shown: Shown, tmp_path: Path
) -> None:
    """Counts in the summary, and the images of new mistakes."""
    other = draw(
        len(shown.drawn.names), shown.drawn.classes, names=shown.drawn.names, failing=(3,), seed=8
    )
    second = other.write(tmp_path / "b.csv")
    found = vs.compare(shown.predictions, second, labels=shown.labels, resamples=0).comparison
    subjects = open_subjects([shown.predictions, second], labels=shown.labels, images=shown.images)
    with PageServer(subjects) as served:
        page = visitor.open(served, "/two-runs")
        page.locator("h2", has_text="b.csv").wait_for()
        assert found.judged is not None
        want = {
            "images compared": len(found.rows),
            "decisions changed": len(found.changed),
            "mistakes fixed": found.judged.fixed.sum(),
            "new mistakes": found.judged.broken.sum(),
        }

        def figures() -> dict[str, str]:
            texts = page.locator(".figures .figure").all_inner_texts()
            shown_now = {text.split("\n")[1]: text.split("\n")[0] for text in texts}
            return {name: shown_now.get(name, "") for name in want}

        wait_until_equal(page, figures, {name: str(count) for name, count in want.items()})
        page.get_by_text(f"{found.judged.broken.sum()} decisions").wait_for()
        expect(page.locator("a.tile")).to_have_count(min(48, int(found.judged.broken.sum())))
        page.get_by_role("button", name="only in the second").click()
        page.get_by_text(f"{found.gained.sum()} decisions").wait_for()
