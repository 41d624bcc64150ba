"""A real network that is quick: random weights on 32x32 pixels, and runs of it."""

from __future__ import annotations

import csv

import numpy as np
from mutations import good_jpegs

from vocscore.config.groups import build, names_of
from vocscore.config.scoring import ScoreConfig
from vocscore.scoring.run import score

CLASSES = ("cat", "dog", "person")
SIZE = 32


def make_checkpoint(folder, *, seed=0, threshold=0.5, backbone="tiny", temperature=1.0):
    """A checkpoint whose probabilities differ from image to image.

    'tiny' is known to this process alone (`tests/tiny_backbone.py`): opened again and again, it
    takes milliseconds where 45 MB of a ResNet-18 would be read and hashed. Tests that start other
    processes name a backbone of torchvision.
    """
    import torch

    from vocscore.models.card import ModelCard
    from vocscore.models.checkpoint import save_checkpoint
    from vocscore.models.network import build_network
    from vocscore.pipeline.preprocess import Preprocess

    torch.manual_seed(seed)
    network = build_network(backbone, classes=len(CLASSES), weights="none", size=SIZE)
    std = 3.0 if backbone == "tiny" else 0.1  # or all probabilities would be 0.5
    torch.nn.init.normal_(network.head.weight, std=std)
    card = ModelCard(
        backbone, CLASSES, Preprocess(size=SIZE), threshold, "none", temperature=temperature
    )
    save_checkpoint(folder, network, card)
    return folder


def make_images(folder, names, *, bad):
    """Good JPEGs, and pages of HTML in the places `bad`."""
    jpegs = good_jpegs()
    for number, name in enumerate(names):
        data = b"<html>" if number in bad else jpegs[number % len(jpegs)]
        (folder / name).write_bytes(data)
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
