"""The page of a run that is still scoring."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from settling import expect, wait_until_equal
from written_predictions import draw

from vocscore.scoring.formats.choice import choose
from vocscore.view.opening import open_subjects

pytest.importorskip("nicegui", reason="needs NiceGUI: pip install 'vocscore[view]'")
from vocscore.view.server import PageServer

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Visitor
    from written_predictions import Drawn


class Run:
    """A run that writes parts of ten rows, as scoring does."""

    def __init__(self, drawn: Drawn, output: Path) -> None:
        self.drawn, self.output = drawn, output
        self.work = output.with_name(f"{output.name}.parts")
        self.work.mkdir()
        (self.work / "started.json").write_bytes(drawn.record(finished="").to_bytes())

    def write_part(self, number: int) -> None:
        """The rows first, then the mark of a whole part."""
        rows = self.drawn.open(choose(self.output, folder_format=None))
        start = 10 * number
        with (self.work / f"part-{number:06d}.csv").open("wb") as file:
            rows.write(file, self.drawn.part(start, start + 10))
        mark = self.work / f"part-{number:06d}.json"
        mark.write_text(json.dumps({"rows": 10}))

    def finish(self) -> None:
        """The output appears, and the parts are gone."""
        whole = self.drawn.write(self.output.with_name("whole.csv"))
        whole.rename(self.output)
        shutil.rmtree(self.work)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(draw(40, failing=(12,)), tmp_path / "p.csv")


def test_the_page_follows_the_parts(run: Run, visitor: Visitor) -> None:
    """The overview by itself, the gallery with a button; nothing is written or locked."""
    run.write_part(0)
    before = sorted(run.work.iterdir())
    with PageServer(open_subjects([run.output], labels=None, images=None)) as served:
        overview = visitor.open(served)
        gallery = visitor.open(served, "/gallery")
        overview.get_by_text("10 rows so far").wait_for()
        gallery.get_by_text("10 images of 10").wait_for()
        assert sorted(run.work.iterdir()) == before
        run.write_part(3)
        overview.get_by_text("20 rows so far").wait_for()
        overview.locator(".figure", has_text="images").first.get_by_text("20").wait_for()
        gallery.get_by_role("button", name="show new rows").click()
        gallery.get_by_text("20 images of 20").wait_for()
        run.write_part(1)
        run.finish()
        for page in (overview, gallery):
            page.get_by_text("40 rows, complete").wait_for()
        gallery.get_by_text("39 images of 40").wait_for()
        tiles = gallery.locator("a.tile")
        wait_until_equal(
            gallery,
            lambda: tiles.evaluate_all("all => all.map(one => one.title)"),
            [name for row, name in enumerate(run.drawn.names) if row != 12],
        )


def test_a_run_that_is_removed_is_said(run: Run, visitor: Visitor) -> None:
    """The rows so far stay."""
    run.write_part(0)
    with PageServer(open_subjects([run.work], labels=None, images=None)) as served:
        page = visitor.open(served, "/gallery")
        page.get_by_text("10 rows so far").wait_for()
        shutil.rmtree(run.work)
        page.get_by_text("cannot be followed").wait_for()
        expect(page.locator("a.tile")).to_have_count(10)
