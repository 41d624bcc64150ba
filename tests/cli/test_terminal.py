"""What a person sees on a terminal: stages, a bar, and text that never lands on either."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from terminals import python, run_on_terminal

if TYPE_CHECKING:
    from pathlib import Path

TALE = """
import sys, time, click
from vocscore.cli.progress import progress
from vocscore.cli.streams import settled_streams
with settled_streams():
    with progress("train", quiet={quiet}) as shown:
        shown.stage("loading the model")
        time.sleep(0.05)
        shown.stage("computing features")
        for done in range(0, 101, 10):
            shown(done, 100, done // 50)
            time.sleep(0.03)
            if done == 40:
                click.echo("epoch  split")
                print("a warning", file=sys.stderr)
            if done == 60:
                sys.stderr.write("begun ")
                sys.stderr.flush()
            if done == 80:
                sys.stderr.write("and ended\\n")
        shown.stage("drawing charts")
        click.echo("  1    train")
    click.echo("summary")
"""
PRINTED = ["epoch  split", "a warning", "begun and ended", "  1    train", "summary", ""]


@pytest.mark.parametrize("columns", [80, 40, 12, 3, 0])
def test_text_stands_alone_on_its_lines(columns: int) -> None:
    """Whatever the width, the screen ends with the printed lines and nothing of the bar."""
    seen = run_on_terminal(python(TALE.format(quiet=False)), columns=columns)
    assert seen.code == 0
    wide = columns or 80
    wrapped = [line[at : at + wide] for line in PRINTED for at in range(0, len(line) or 1, wide)]
    assert seen.screen == [line.rstrip() for line in wrapped]


def test_stages_and_a_bar_are_shown() -> None:
    """The stages by their names, the counts as a bar of the terminal's width, with the errors."""
    seen = run_on_terminal(python(TALE.format(quiet=False)))
    parts = [part for part in seen.sent.replace("\n", "\r").split("\r") if part.strip()]
    assert parts[0] == "loading the model"
    bars = [part for part in parts if "/100" in part and "\u2588" in part]
    assert bars
    assert all(part.startswith("computing features:") for part in bars)
    assert "errors=" in bars[-1]
    assert "\rdrawing charts" in seen.sent
    assert max(map(len, parts)) < 80


def test_no_drawing_on_a_dumb_terminal() -> None:
    """TERM=dumb gets a log: no line is drawn over, what is counted first is a line."""
    seen = run_on_terminal(python(TALE.format(quiet=False)), environment={"TERM": "dumb"})
    first = "train: computing features, 0 of 100"
    assert seen.screen == [first, *PRINTED]
    assert "\r" not in seen.sent.replace("\r\n", "")


def test_quiet_draws_nothing() -> None:
    """With --quiet a terminal gets what is printed, byte for byte."""
    seen = run_on_terminal(python(TALE.format(quiet=True)))
    assert seen.sent.replace("\r\n", "\n") == "\n".join(PRINTED)


@pytest.mark.parametrize("encoding", ["latin-1", "cp437"])
def test_a_terminal_without_blocks_gets_a_plain_bar(encoding: str) -> None:
    """Where the encoding lacks the characters of a smooth bar, '#' stands for them."""
    environment = {"PYTHONIOENCODING": encoding}
    seen = run_on_terminal(python(TALE.format(quiet=False)), environment=environment)
    assert seen.screen == PRINTED
    assert "|##" in seen.sent
    assert "\\u2588" not in seen.sent


def test_a_file_of_results_has_no_bar_in_it(tmp_path: Path) -> None:
    """With standard output in a file, what is printed goes there and the bar to the terminal."""
    with (tmp_path / "out.txt").open("wb") as out:
        seen = run_on_terminal(python(TALE.format(quiet=False)), stdout=out.fileno())
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines == ["epoch  split", "  1    train", "summary"]
    assert seen.screen == ["a warning", "begun and ended", ""]


STAGES = """
import time
import click
from vocscore.cli.common import OneLineErrors, interruptible
from vocscore.cli.progress import progress
from vocscore.cli.streams import settled_streams

@click.group(cls=OneLineErrors)
def group(): ...

@group.command()
def work():
    with {guard}progress("score", quiet={quiet}) as shown:
        shown.stage("loading the model")
        click.echo("READY") if {quiet} else None
        time.sleep(0.2)
        shown.stage("scoring")
        for done in range(100_000):
            shown(done, 100_000)
            time.sleep(0.002)

with settled_streams():
    group(["work"])
"""


@pytest.mark.parametrize("moment", ["loading", "scoring", "%|"])
@pytest.mark.parametrize("columns", [80, 30])
def test_an_interruption_leaves_one_line(moment: str, columns: int) -> None:
    """Ctrl-C in any stage: the bar and '^C' are gone, a sentence is left, the exit code is 130."""
    code = STAGES.format(guard='interruptible("Kept."), ', quiet=False)
    seen = run_on_terminal(python(code), columns=columns, interrupt_at=moment)
    assert (seen.code, seen.screen) == (130, ["Interrupted. Kept.", ""])


@pytest.mark.parametrize("guard", ['interruptible("Kept."), ', ""])
def test_an_interruption_of_a_quiet_command_writes_over_the_echo(guard: str) -> None:
    """Without a bar, too, '^C' does not stay; a command without advice says that it was ended."""
    seen = run_on_terminal(python(STAGES.format(guard=guard, quiet=True)), interrupt_at="READY")
    assert seen.code == 130
    assert seen.screen == ["READY", "Interrupted. Kept." if guard else "Interrupted.", ""]


def test_the_width_is_the_terminals_or_that_of_columns() -> None:
    """A terminal that does not know its width is as wide as $COLUMNS says."""
    code = TALE.format(quiet=False)
    seen = run_on_terminal(python(code), columns=0, environment={"COLUMNS": "30"})
    drawn = [part for part in seen.sent.replace("\n", "\r").split("\r") if "computing" in part]
    assert drawn
    assert max(map(len, drawn)) <= 30


def test_commands_keep_their_lines_apart(voc_tree: Path, tmp_path: Path) -> None:
    """`pack` and `verify` on a terminal: the screen has their lines as a pipe gets them."""
    program = ["-m", "vocscore"]
    pack = [*program, "pack", str(voc_tree), "-o", str(tmp_path / "shards")]
    seen = run_on_terminal([*python("")[:1], *pack], columns=200)
    assert seen.code == 0
    lines = [line.partition(":")[0] for line in seen.screen]
    assert lines[:2] == ["source", "classes"]
    at = lines.index("train")
    assert lines[at : at + 3] == ["train", "val", "test"]
    assert "reading annotations" in seen.sent
    seen = run_on_terminal([*python("")[:1], *program, "verify", str(tmp_path / "shards")])
    assert (seen.code, seen.screen[0]) == (
        0,
        f"{tmp_path / 'shards'}: no problems found"[:80].rstrip(),
    )
    assert seen.sent.strip().startswith("checking")
