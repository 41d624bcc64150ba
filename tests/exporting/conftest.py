"""The drawn set in shards, and a checkpoint for its classes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from exported_runs import invoke, make_run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _small_backbones(tiny_backbones: None) -> None:
    """Runs have a tiny backbone where the backbone is not the subject."""


@pytest.fixture(scope="session")
def packed(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn set in shards."""
    folder = tmp_path_factory.mktemp("export") / "shards"
    result = invoke("pack", voc_tree, "-o", folder, "-q")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def run(packed: Path, tmp_path: Path) -> Path:
    """A checkpoint for the packed classes, with rows that differ."""
    classes = tuple(json.loads((packed / "dataset.json").read_text())["classes"])
    return make_run(tmp_path / "run", classes)
