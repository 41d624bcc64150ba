"""The table that `vocscore train` prints: 80 columns, whatever the figures are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from vocscore.cli.train import _Table
from vocscore.training.history import EpochResult, SplitFigures

if TYPE_CHECKING:
    from collections.abc import Sequence


def printed(losses: Sequence[float], capsys: pytest.CaptureFixture[str]) -> list[str]:
    table = _Table()
    for number, loss in enumerate(losses, 1):
        figures = SplitFigures(loss, 0.5, 0.25, 1.0, 0.4, math.nan, math.nan)
        table(EpochResult(number, figures, figures))
    return capsys.readouterr().out.splitlines()


def test_one_header_and_two_lines_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    """Its lines are as wide as the header."""
    lines = printed([0.7, 12.3456, 0.0], capsys)
    assert len(lines) == 7
    assert len(set(map(len, lines))) == 1
    assert lines[1].split()[:3] == ["1", "train", "0.7000"]


@pytest.mark.parametrize("loss", [123.456, 1e12, math.inf])
def test_it_fits_a_terminal(loss: float, capsys: pytest.CaptureFixture[str]) -> None:
    """A training that goes wrong does not break the lines."""
    assert max(map(len, printed([loss], capsys))) <= 80
