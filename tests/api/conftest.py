"""A small trained model, and what `vocscore score` says of the same images."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
from loader_sets import pack_drawn

import vocscore as vs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CLASSES = ("cat", "dog", "person")
SIZE = 32


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a SqueezeNet with random weights, and a threshold for each class."""
    import torch

    from vocscore.models.card import ModelCard
    from vocscore.models.checkpoint import save_checkpoint
    from vocscore.models.network import build_network
    from vocscore.pipeline.preprocess import Preprocess

    torch.manual_seed(0)
    network = build_network("squeezenet1_1", classes=len(CLASSES), weights="none", size=SIZE)
    torch.nn.init.normal_(network.head.weight, std=0.1)  # or all probabilities would be 0.5
    card = ModelCard(
        "squeezenet1_1", CLASSES, Preprocess(size=SIZE), 0.5, "none", thresholds=(0.3, 0.5, 0.7)
    )
    folder = tmp_path_factory.mktemp("api") / "run"
    save_checkpoint(folder, network, card)
    return folder


@pytest.fixture(scope="session")
def model(run_folder: Path) -> Iterator[vs.Model]:
    with vs.load(run_folder, device="cpu", workers=2) as opened:
        yield opened


@pytest.fixture(scope="session")
def packed(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn tree with only two splits, for loaders."""
    return pack_drawn(voc_tree, tmp_path_factory.mktemp("loader") / "shards")


@pytest.fixture(scope="session")
def photos(voc_tree: Path) -> Path:
    return voc_tree / "JPEGImages"


@pytest.fixture(scope="session")
def paths(photos: Path) -> list[str]:
    return [str(file) for file in sorted(photos.iterdir())]


@pytest.fixture(scope="session")
def csv_rows(
    run_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str | Path], list[dict[str, str]]]:
    """What `vocscore score` writes for a source, by Python's reader of CSV."""

    def rows(source: str | Path) -> list[dict[str, str]]:
        output = tmp_path_factory.mktemp("scored") / "out.csv"
        vs.score(source, output, model=run_folder, device="cpu", workers=2, progress=False)
        with output.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return list(csv.DictReader(file))

    return rows


@pytest.fixture(scope="session")
def numbers() -> Callable[[dict[str, str]], np.ndarray]:
    """The probabilities of a row of a CSV; NaN where it has none."""

    def of(row: dict[str, str]) -> np.ndarray:
        return np.array([row[name] or "nan" for name in CLASSES], np.float32)

    return of
