"""What the tests of export share: a checkpoint whose rows differ, and the command line."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import torch
from click.testing import CliRunner

from vocscore.cli.main import main
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import save_checkpoint
from vocscore.models.network import build_network
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

SIZE = 64


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def make_run(
    folder: Path,
    classes: tuple[str, ...],
    *,
    backbone: str = "tiny_dropout",
    weights: str = "none",
    size: int = SIZE,
    **fitted: object,
) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build_network(backbone, classes=len(classes), weights=weights, size=size)
        # the tiny features are small
        std = 3.0 if backbone == "tiny_dropout" else 0.3
        torch.nn.init.normal_(network.head.weight, std=std)
    card = ModelCard(backbone, classes, Preprocess(size=size), 0.5, "none", **fitted)
    save_checkpoint(folder, network, card)
    return folder


def probabilities(file: Path) -> np.ndarray:
    """Of the images of a CSV that `score` wrote, in the order of its rows."""
    with file.open(newline="") as lines:
        rows = list(csv.reader(lines))
    return np.array([row[3:-1] for row in rows[1:]], dtype=np.float64)
