"""A packed set, and predictions of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from written_predictions import Drawn

from shards.classes import VOC_CLASSES
from shards.errors import Fault, Reason

if TYPE_CHECKING:
    from pathlib import Path


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
