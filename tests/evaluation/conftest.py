"""Packed labels, and what the lists of VOC say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from voc_truth import Truth

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def val(voc_tree: Path) -> Truth:
    """The 16 images of the split 'val'."""
    return Truth(voc_tree, "val")
