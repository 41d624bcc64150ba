"""A packed set, and predictions of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from written_predictions import Drawn

from shards.classes import VOC_CLASSES
from shards.errors import Fault, Reason
from shards.packing.pack import pack
from shards.sources.voc.read import read_voc
from shards.splitting.splits import split_by_lists

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def packed(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn tree as shards with the splits train (24 images), val (16) and test (8)."""
    out = tmp_path_factory.mktemp("reported") / "shards"
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
def drawn(voc_tree: Path) -> Drawn:
    """Predictions of all images of the drawn tree, two of them errors; a threshold per class."""
    names = [f"JPEGImages/{file.name}" for file in sorted((voc_tree / "JPEGImages").iterdir())]
    generator = np.random.default_rng(3)
    probabilities = generator.beta(0.4, 0.8, (len(names), 20)).astype(np.float32)
    failures = {
        5: Fault(Reason.TRUNCATED, "ends early <b>"),
        9: Fault(Reason.EMPTY, "no bytes"),
    }
    probabilities[list(failures)] = 0
    thresholds = tuple(np.linspace(0.2, 0.7, 20).round(3).tolist())
    return Drawn(tuple(names), VOC_CLASSES, probabilities, failures, thresholds)


@pytest.fixture(scope="session")
def predictions(drawn: Drawn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """They, as a file with its record."""
    return drawn.write(tmp_path_factory.mktemp("p") / "p.csv", record=drawn.record())
