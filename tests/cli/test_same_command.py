"""What an interrupted command tells to type again."""

from __future__ import annotations

import pytest

from vocscore.cli.common import same_command


def test_the_command_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be typed: a module as `python -m`, a program by its name, blanks quoted."""
    for program_file, typed in (
        ("/a/bench/__main__.py", "python -m bench"),
        ("/b/vocscore", "vocscore"),
    ):
        monkeypatch.setattr("sys.argv", [program_file, "score", "a b"])
        assert same_command() == f"{typed} score 'a b'"


@pytest.mark.parametrize("more", [[], ["--overwrite"], ["--resume"]])
def test_the_command_that_resumes(monkeypatch: pytest.MonkeyPatch, more: list[str]) -> None:
    """It names --resume once, and not --overwrite, which would remove what it goes on from."""
    monkeypatch.setattr("sys.argv", ["/b/vocscore", "train", "shards", *more, "-o", "run"])
    assert same_command(resumed=True) == "vocscore train shards -o run --resume"
