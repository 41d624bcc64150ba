"""A demo removes what a demo made, and nothing else."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from vocscore.cli.main import main
from vocscore.drawn_demo import MARK, make_room
from vocscore.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["shards", "run", "VOCdrawn", "predictions.csv"])
def test_files_of_others_are_never_removed(tmp_path: Path, name: str) -> None:
    """What has a demo's name in a folder that no demo made stays, with --overwrite too."""
    mine = tmp_path / name
    (mine.write_text if name.endswith("csv") else lambda _: mine.mkdir())("mine")
    with pytest.raises(OptionError, match=f"{name} already exists, and no demo made it"):
        make_room(tmp_path, overwrite=True)
    assert mine.exists()
    assert not (tmp_path / MARK).exists()


@pytest.mark.parametrize("name", ["dataset.json", "model.json"])
def test_a_set_or_a_run_is_no_place_for_a_demo(tmp_path: Path, name: str) -> None:
    """Its files are not mixed into them."""
    (tmp_path / name).write_text("{}")
    with pytest.raises(OptionError, match=f"{name} exists: a demo needs a folder of its own"):
        make_room(tmp_path, overwrite=False)


def test_an_earlier_demo_is_replaced_only_if_asked(tmp_path: Path) -> None:
    """Without --overwrite it is refused; with it, its folders go and other files stay."""
    make_room(tmp_path / "demo", overwrite=False)
    (tmp_path / "demo" / "shards").mkdir()
    (tmp_path / "demo" / "notes.txt").write_text("mine")
    with pytest.raises(OptionError, match="shards already exists: add `overwrite=True`"):
        make_room(tmp_path / "demo", overwrite=False)
    make_room(tmp_path / "demo", overwrite=True)
    assert [file.name for file in sorted((tmp_path / "demo").iterdir())] == [MARK, "notes.txt"]


@pytest.mark.slow
def test_a_demo_ends_with_a_report_and_the_command_of_its_page(tmp_path: Path) -> None:
    """The report has the figures of its eval, and the printed command opens what it names."""
    out = tmp_path / "it's a demo"
    done = CliRunner().invoke(main, ["demo", "-o", str(out), "--images", "60", "--epochs", "1"])
    assert done.exit_code == 0, done.output
    figures = json.loads((out / "eval.json").read_text())
    text = (out / "report.html").read_text("utf-8")
    assert f"<b>{figures['mean_average_precision']:.3f}</b><span>mAP</span>" in text
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("page: ")]
    _, *words = shlex.split(line.removeprefix("page: "))
    view = main.get_command(None, "view")
    named = view.make_context("view", words[words.index("view") + 1 :]).params
    assert named["predictions"] == (out / "predictions.csv",)
    assert named["labels"] == out / "shards"
