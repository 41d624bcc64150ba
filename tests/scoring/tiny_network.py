"""A real network that is quick: ResNet-18 with random weights on 32x32, and runs of it."""

from __future__ import annotations

import csv

import numpy as np

from vocscore.config.groups import build, names_of
from vocscore.config.scoring import ScoreConfig
from vocscore.scoring.run import score

CLASSES = ("cat", "dog", "person")
SIZE = 32


def make_checkpoint(folder, *, seed=0, threshold=0.5):
    import torch

    from vocscore.models.card import ModelCard
    from vocscore.models.checkpoint import save_checkpoint
    from vocscore.models.network import build_network
    from vocscore.pipeline.preprocess import Preprocess

    torch.manual_seed(seed)
    network = build_network("resnet18", classes=len(CLASSES), weights="none", size=SIZE)
    torch.nn.init.normal_(network.head.weight, std=0.1)  # or all probabilities would be 0.5
    card = ModelCard("resnet18", CLASSES, Preprocess(size=SIZE), threshold, "none")
    save_checkpoint(folder, network, card)
    return folder


def run(source, output, checkpoint, **changes):
    """Score with small batches and units; what is no option goes to `score` itself."""
    settings = {
        "loader": "host",
        "device": "auto" if changes.get("devices") else "cpu",
        "batch_size": 16,
        "unit_size": 20,
        "workers": 2,
        "max_pixels": 10**7,
        "precision": "float32",
        "ceilings": False,
    } | changes
    names = names_of(ScoreConfig)
    rest = {name: value for name, value in settings.items() if name not in names}
    return score(source, output, build(ScoreConfig, settings), checkpoint=checkpoint, **rest)


def read(output):
    """Path -> row; fails where a name comes twice."""
    with output.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    by_name = {row["path"]: row for row in rows}
    assert len(by_name) == len(rows)
    return by_name


def numbers(row):
    return np.array([row[name] for name in CLASSES], np.float32)
