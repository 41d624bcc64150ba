"""Inputs of which some are bad, and where predictions and copies go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from quarantines import NAMES
from score_doubles import make_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Images whose bytes are their names."""
    folder: Path = make_files(tmp_path / "in", NAMES)
    for name in NAMES:
        (folder / name).write_text(name * 3)
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "q"
