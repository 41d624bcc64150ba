"""The networks that are measured: trained a little, so that their decisions mean something."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torchvision.models
from safetensors.torch import save_file
from torch.hub import get_dir

import vocscore as vs
from bench import product
from bench.images import real_voc
from bench.settled_weights import settled_weights
from shards.classes import VOC_CLASSES
from shards.errors import Error
from shards.reader import load_split
from shards.synthetic.voc import draw_voc
from vocscore.config.model import ModelConfig
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import load_checkpoint, save_checkpoint
from vocscore.models.network import build_network, input_preprocess
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shards.sample import ImageRef
    from vocscore.models.network import Network

CALIBRATION = 32
"""Calibration images: speed does not depend on them, and the default number takes minutes."""
_DRAWN = 60
_SETTLED_ON = 32
"""Images that random weights are scaled on."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained network, and the packed images on which its probabilities are compared.

    Attributes:
        backbone: the name of a torchvision classification model.
        run: the folder of the checkpoint.
        shards: the set that its head was trained on.
        start: the value of `--weights` that the backbone started from.
        weights: the same, and the images that the head was trained on, as a phrase.
    """

    backbone: str
    run: Path
    shards: Path
    start: str
    weights: str

    def load(self) -> tuple[Network, ModelCard]:
        """A new copy of the network."""
        return load_checkpoint(self.run)

    @cached_property
    def images(self) -> torch.Tensor:
        """Every image of the set, decoded."""
        _, card = self.load()
        return decoded(load_split(self.shards, "train,val").images, card.preprocess)


def decoded(refs: Sequence[ImageRef], preprocess: Preprocess) -> torch.Tensor:
    """All images in one batch: uint8 (N, 3, S, S), channels-last."""
    with product.own_loader("host", preprocess, batch_size=len(refs)) as loader:
        return next(iter(loader.batches(refs))).images


def make_checkpoint(backbone: str, scratch: Path, *, size: int = ModelConfig.size) -> Checkpoint:
    """Train the head of a backbone on real images, or on drawn ones where there are none."""
    weights = _weights(backbone)
    source, images = _source(scratch)
    shards, run = scratch / "checkpoint-shards", scratch / f"checkpoint-{backbone}"
    if not shards.exists():
        product.pack(source, shards)
    start = weights
    if weights == "none":
        start = str(scratch / f"{backbone}.safetensors")
        _settle(backbone, shards, size=size, file=Path(start))
    product.train(shards, run, backbone=backbone, weights=start, size=size)
    _quantize(run, shards)
    described = "random weights" if weights == "none" else "ImageNet weights"
    return Checkpoint(backbone, run, shards, weights, f"{described}, head trained on {images}")


def _settle(backbone: str, shards: Path, *, size: int, file: Path) -> None:
    """Write random weights that tell the images apart."""
    preprocess = input_preprocess(backbone, weights="none", size=size)
    images = decoded(load_split(shards, "train,val").images[:_SETTLED_ON], preprocess)
    save_file({**settled_weights(backbone, preprocess.normalize(images))}, file)


def _quantize(run: Path, shards: Path) -> None:
    """Make the int8 model whatever its accuracy, which the contest prints.

    Where that fails, the contestant is absent with the reason 'has no int8 model'.
    """
    settings: dict[str, Any] = {"max_map_drop": 1.0, "max_changed": 1.0, "progress": False}
    with suppress(Error):
        vs.quantize(run, shards=shards, calibration_images=CALIBRATION, **settings)


def save_untrained(folder: Path, *, size: int) -> Path:
    """A small network with random weights, for contests that measure everything else."""
    torch.manual_seed(0)
    network = build_network("squeezenet1_1", classes=len(VOC_CLASSES), weights="none", size=size)
    card = ModelCard("squeezenet1_1", VOC_CLASSES, Preprocess(size=size), 0.5, "none")
    save_checkpoint(folder, network, card)
    return folder


def _weights(backbone: str) -> str:
    """ImageNet weights if they are on this machine; nothing is downloaded."""
    beside = real_voc().with_name("weights") / f"{backbone}-imagenet.pth"
    if beside.is_file():
        return str(beside)
    preset = torchvision.models.get_model_weights(backbone).DEFAULT
    downloaded = f"{get_dir()}/checkpoints/{preset.url.rpartition('/')[2]}"
    return "imagenet" if Path(downloaded).is_file() else "none"


def _source(scratch: Path) -> tuple[Path, str]:
    real = real_voc()
    if real.is_dir():
        return real, "100 real VOC photographs"
    drawn = scratch / "checkpoint-drawn"
    if not drawn.exists():
        draw_voc(drawn, images=_DRAWN, width=500, height=375)
    return drawn, f"{_DRAWN} drawn images"
