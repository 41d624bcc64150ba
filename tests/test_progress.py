"""Progress as a log sees it, and what it costs. On a terminal: `cli/test_terminal.py`."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from vocscore.cli import progress as module
from vocscore.cli.progress import Progress, progress

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    Capture = pytest.CaptureFixture[str]


def wait_for(true: Callable[[], bool]) -> None:
    """Until it is, or the test has failed."""
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_log_begins_with_a_line_and_then_waits(capsys: Capture) -> None:
    """What takes half a second is a line; whatever follows within 30 seconds is none."""
    lines: list[str] = []
    with progress("score", quiet=False) as shown:
        shown.stage("listing inputs")
        wait_for(lambda: bool(lines.extend(capsys.readouterr().err.splitlines()) or lines))
        assert lines == ["score: listing inputs"]
        shown.listing(4096)
        shown.stage("loading the model")
        for done in range(1000):
            shown(done, 1000)
        shown.stage("joining the parts")
    assert capsys.readouterr().err == ""


def test_what_ends_at_once_is_no_line(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument that is refused in the first stages leaves its own line and no other."""
    monkeypatch.setattr(module, "SECONDS_BEFORE_A_LOG", 60.0)
    with progress("train", quiet=False) as shown:
        shown.stage("listing inputs")
        shown.listing(0)
        shown.stage("loading PyTorch")
    assert capsys.readouterr().err == ""


def test_work_that_ends_at_once_is_a_line(capsys: Capture) -> None:
    """A log of work has a first line, however short the work was: the first count."""
    with progress("pack", quiet=False) as shown:
        shown.stage("packing")
        shown(0, 4)
        shown(4, 4)
    assert capsys.readouterr().err == "pack: packing, 0 of 4\n"


def test_a_count_without_a_stage_is_a_first_line_too(capsys: Capture) -> None:
    """A command that only counts begins its log with the first count."""
    with progress("verify", quiet=False) as shown:
        shown(0, 100)
    assert capsys.readouterr().err == "verify: verify, 0 of 100\n"


def test_a_log_gets_a_line_when_it_is_time_for_one(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is the case then: files found, images done with rate, time left and errors, a stage."""
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LOG_LINES", 0.02)
    monkeypatch.setattr(module, "SECONDS_BEFORE_A_LOG", 0.02)
    lines: list[str] = []

    def told(word: str) -> bool:
        lines.extend(capsys.readouterr().err.splitlines())
        return any(word in line for line in lines)

    with progress("score", quiet=False) as shown:
        shown.listing(8192)
        wait_for(lambda: told("score: score, 8192 found"))
        shown.stage("scoring")
        shown(40, 100, 0)  # of an earlier run: no part of the rate
        time.sleep(0.1)
        shown(50, 100, 3)
        wait_for(lambda: told(", 3 errors"))
        shown.stage("joining the parts")
        wait_for(lambda: told("score: joining the parts"))
    (line,) = {line for line in lines if "3 errors" in line}
    stage, count, rate, left, errors = line.split(", ")
    assert (stage, count, errors) == ("score: scoring", "50 of 100", "3 errors")
    assert 0 < float(rate.removesuffix(" img/s")) <= 100
    assert float(left.removesuffix(" s left")) >= 0.5


def test_a_stage_that_takes_long_says_for_how_long(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that stands still is alive: its lines count the seconds of the stage."""
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LOG_LINES", 0.02)
    monkeypatch.setattr(module, "SECONDS_BEFORE_A_LOG", 0.02)
    monkeypatch.setattr(module, "_SECONDS_UNTIL_A_CLOCK", 0.0)
    with progress("train", quiet=False) as shown:
        shown.stage("loading PyTorch")
        wait_for(lambda: "train: loading PyTorch, 0 s" in capsys.readouterr().err)


def test_quiet_shows_nothing(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """--quiet in a log: nothing, and no thread that would."""
    monkeypatch.setattr(module, "SECONDS_BEFORE_A_LOG", 0.0)
    with progress("score", quiet=True) as shown:
        shown.stage("listing inputs")
        shown.listing(4096)
        shown(5, 10, 1)
    assert capsys.readouterr().err == ""


def test_counting_draws_nothing_by_itself(capsys: Capture) -> None:
    """100,000 counts write no line and cost microseconds: a thread looks now and then."""
    shown = Progress("score", quiet=False)
    shown(0, 100_000)
    capsys.readouterr()
    began = time.process_time()
    for done in range(100_000):
        shown(done, 100_000)
    assert time.process_time() - began < 5  # 50 microseconds each; it takes about one
    shown.close()
    assert capsys.readouterr().err == ""


def test_nothing_is_shown_after_the_end(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed, also by an error, progress writes no more."""
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LOG_LINES", 0.01)
    monkeypatch.setattr(module, "SECONDS_BEFORE_A_LOG", 0.01)
    with suppress(ZeroDivisionError), progress("score", quiet=False) as shown:
        shown.stage("scoring")
        raise ZeroDivisionError
    capsys.readouterr()
    shown.stage("again")
    time.sleep(0.05)
    assert capsys.readouterr().err == ""
