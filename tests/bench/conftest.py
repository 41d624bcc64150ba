"""A small network, and options with which contests take seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from bench import checkpoints, product
from bench.contests import Options
from shards.classes import VOC_CLASSES
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import save_checkpoint
from vocscore.models.network import build_network
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 64


@pytest.fixture(scope="session")
def small_checkpoint(
    voc_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> checkpoints.Checkpoint:
    """A random SqueezeNet for 64x64 pixels, and 48 packed drawn images."""
    scratch = tmp_path_factory.mktemp("checkpoint")
    product.pack(voc_tree, scratch / "shards")
    torch.manual_seed(0)
    classes = len(VOC_CLASSES)
    network = build_network("squeezenet1_1", classes=classes, weights="none", size=SIZE)
    torch.nn.init.normal_(network.head.weight, std=0.1)
    card = ModelCard("squeezenet1_1", VOC_CLASSES, Preprocess(size=SIZE), 0.5, "none")
    save_checkpoint(scratch / "run", network, card)
    return checkpoints.Checkpoint(
        "squeezenet1_1", scratch / "run", scratch / "shards", "none", "random weights"
    )


@pytest.fixture
def options(tmp_path: Path, small_checkpoint: checkpoints.Checkpoint) -> Options:
    """A dozen thumbnails, one repeat; every backbone is the small network."""
    (tmp_path / "scratch").mkdir()
    return Options(
        scratch=tmp_path / "scratch",
        repeats=1,
        kind="thumbnails",
        images=12,
        backbones=("squeezenet1_1",),
        checkpoints=dict.fromkeys(("squeezenet1_1", "resnet18"), small_checkpoint),
    )
