"""Packed labels, and what the lists of VOC say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from voc_truth import Truth

from shards.classes import VOC_CLASSES
from shards.packing.pack import pack
from shards.sources.voc.read import read_voc
from shards.splitting.splits import split_by_lists

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def packed(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn tree as shards with the splits train (24 images), val (16) and test (8)."""
    out = tmp_path_factory.mktemp("packed") / "shards"
    annotated = read_voc(voc_tree)
    pack(
        annotated,
        split_by_lists(annotated),
        out,
        classes=VOC_CLASSES,
        shard_samples=7,
        verify=False,
        max_bad=0,
        max_pixels=10**6,
        resize=None,
        quality=95,
        workers=1,
        overwrite=False,
        settings={},
    )
    return out


@pytest.fixture(scope="session")
def val(voc_tree: Path) -> Truth:
    """The 16 images of the split 'val'."""
    return Truth(voc_tree, "val")
