"""Packed sets that the tests of training share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import light_training
import pytest
import tiny_backbone
from small_training import pack_set

from shards.sources.voc.read import read_voc
from shards.splitting.splits import split_by_lists

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def real_charts() -> None:
    """Asked for by tests whose subject the charts are."""


@pytest.fixture(autouse=True)
def _light(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """See `light_training`; a run's charts are a few bytes, except where they are asked for."""
    light_training.share_compiled(monkeypatch)
    if "real_charts" not in request.fixturenames:
        light_training.skip_charts(monkeypatch)
    tiny_backbone.register(monkeypatch)


@pytest.fixture(scope="session")
def drawn_shards(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn VOC tree, packed by its own lists."""
    annotated = read_voc(voc_tree)
    return pack_set(annotated, split_by_lists(annotated), tmp_path_factory.mktemp("set") / "drawn")


@pytest.fixture(scope="session")
def few_shards(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Splits of 5, 4 and 1 images."""
    annotated = read_voc(voc_tree)
    some = annotated.samples
    splits = {"train": some[:5], "val": some[5:9], "one": some[9:10]}
    return pack_set(annotated, splits, tmp_path_factory.mktemp("set") / "few")
