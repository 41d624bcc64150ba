"""Progress as a person or a log sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.cli import common

if TYPE_CHECKING:
    import pytest


def test_a_log_gets_a_line_while_files_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not to a terminal: a line when it is time for one, and none before."""
    with common.progress("score", quiet=False) as shown:
        shown.listing(4096)
        monkeypatch.setattr(common, "SECONDS_BETWEEN_LOG_LINES", 0.0)
        shown.listing(8192)
        shown(5, 10, 1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "listing: 8192 files"
    assert lines[1].startswith("score: 5 of 10, ")
    assert lines[1].endswith(", 1 errors")


def test_a_terminal_gets_a_counter_and_then_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To a terminal: files as they are found, then pictures as they are scored."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with common.progress("score", quiet=False) as shown:
        shown.listing(0)
        shown.listing(4096)
        shown(5, 10, 1)
    err = capsys.readouterr().err
    assert "listing: 0 files" in err
    assert err.index("listing") < err.index("score:")


def test_quiet_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--quiet, on a terminal and in a log."""
    for terminal in (True, False):
        monkeypatch.setattr("sys.stderr.isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr(common, "SECONDS_BETWEEN_LOG_LINES", 0.0)
        with common.progress("score", quiet=True) as shown:
            shown.listing(4096)
            shown(5, 10, 1)
    assert capsys.readouterr().err == ""
