"""The networks that are measured: trained a little, so that their decisions mean something."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torchvision.models
from torch.hub import get_dir

from bench.commands import vocscore
from bench.images import real_data
from shards.reader import load_split
from shards.synthetic.voc import draw_voc
from vocscore.cli.common import KnownError
from vocscore.config import ScoreConfig, TrainConfig
from vocscore.models.checkpoint import load_checkpoint
from vocscore.pipeline.host import HostLoader

if TYPE_CHECKING:
    import torch

    from shards.sample import ImageRef
    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network

CALIBRATION = 32
"""Images: the speed does not depend on them, and the default number takes minutes."""
_DRAWN = 60


@dataclass(frozen=True)
class Subject:
    """A checkpoint, and packed images to look at its answers on.

    Attributes:
        backbone: the name of a torchvision classification model.
        run: the folder of the checkpoint.
        shards: the set that its head was trained on.
        start: what the backbone started from: a value of `--weights`.
        weights: the same, and what the head was trained on, for people.
    """

    backbone: str
    run: Path
    shards: Path
    start: str
    weights: str

    def load(self) -> tuple[Network, ModelCard]:
        """A network of one's own."""
        return load_checkpoint(self.run)

    @cached_property
    def refs(self) -> tuple[ImageRef, ...]:
        """Every image of the set."""
        return load_split(self.shards, "train,val").images

    @cached_property
    def images(self) -> torch.Tensor:
        """Every image of the set, decoded: uint8 (N, 3, S, S), channels-last."""
        _, card = self.load()
        size = len(self.refs)
        with HostLoader(
            card.preprocess, batch_size=size, threads=1, max_pixels=ScoreConfig.max_pixels
        ) as loader:
            return next(iter(loader.batches(self.refs))).images


def make_subject(backbone: str, scratch: Path, *, size: int = TrainConfig.size) -> Subject:
    """Train the head of a backbone on real images, or on drawn ones where there are none.

    Args:
        backbone: the name of a torchvision classification model.
        scratch: keeps the set and the checkpoints; what is there already is used again.
        size: of the network's input, pixels a side.
    """
    weights = _weights(backbone)
    source, images = _source(scratch)
    shards, run = scratch / "subject-shards", scratch / f"subject-{backbone}"
    if not shards.exists():
        vocscore("pack", source, "-o", shards, "--split", "ratio")
    if not run.exists():
        words = ["--backbone", backbone, "--weights", weights, "--size", size]
        vocscore("train", shards, "-o", run, *words, "--quiet", "--device", "cpu")
        _quantize(run)
    described = "random weights" if weights == "none" else "ImageNet weights"
    return Subject(backbone, run, shards, weights, f"{described}, head trained on {images}")


def _quantize(run: Path) -> None:
    """Make the int8 form, whatever it is worth: how far its answers move is printed beside it.

    Where that cannot be done, 'has no int8 model' is the reason for the absent contestant.
    """
    words = ["--calibration-images", CALIBRATION, "--max-map-drop", 1, "--max-changed", 1]
    with suppress(KnownError):
        vocscore("quantize", run, *words, "--quiet")


def _weights(backbone: str) -> str:
    """ImageNet's where they lie on this machine; nothing is downloaded."""
    beside = real_data() / "weights" / f"{backbone}-imagenet.pth"
    if beside.is_file():
        return str(beside)
    preset = torchvision.models.get_model_weights(backbone).DEFAULT
    downloaded = f"{get_dir()}/checkpoints/{preset.url.rpartition('/')[2]}"
    return "imagenet" if Path(downloaded).is_file() else "none"


def _source(scratch: Path) -> tuple[Path, str]:
    real = real_data() / "voc2012-100"
    if real.is_dir():
        return real, "100 real VOC photographs"
    drawn = scratch / "subject-drawn"
    if not drawn.exists():
        draw_voc(drawn, images=_DRAWN, width=500, height=375)
    return drawn, f"{_DRAWN} drawn images"
