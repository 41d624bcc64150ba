"""Runs only the backbone of a trained model, for `Model.features`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from vocscore.models.card import require_features
from vocscore.models.checkpoint import load_network
from vocscore.models.checkpoint_files import take
from vocscore.pipeline.devices import bring, on_device
from vocscore.runtime.base import Runtime, check_images
from vocscore.runtime.cuda import fetched_later
from vocscore.runtime.features import Pooled
from vocscore.runtime.load import open_backbone
from vocscore.runtime.scorer import averaged

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from vocscore.config.tta import Tta
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.runtime.base import Results


def open_features(
    folder: Path, *, identity: str, device: str, group: int, tta: Tta | None = None
) -> tuple[Runtime, int]:
    """Load the backbone of a checkpoint, in float32.

    Args:
        folder: of the checkpoint.
        identity: its hash when the model was loaded.
        device: 'cpu' or 'cuda:N'.
        group: images of a full batch.
        tta: the views whose features are averaged; None: the image as it is.

    Returns:
        A runtime whose results are features, float32, (N, F), and F.

    Raises:
        CheckpointError: it is damaged, or has changed since the model was loaded, or it is an
            imported classifier with its own last layers.
    """
    files = take(folder, identity=identity)
    require_features(files.card, folder)
    network, card = load_network(files), files.card
    backbone, width = Pooled(network.backbone).eval(), network.head.in_features

    def opened(size: int) -> Runtime:
        preprocess = replace(card.preprocess, size=size)
        return open_module(backbone, preprocess, device=device, group=group)

    own = card.preprocess.size
    if tta is None:
        return opened(own), width
    return averaged({size: opened(size) for size in tta.sizes(own)}, tta, finish=None), width


def open_module(module: nn.Module, preprocess: Preprocess, *, device: str, group: int) -> Runtime:
    """Prepare a part of a network, images -> (N, columns), in float32."""
    if device == "cpu":
        return open_backbone(module, preprocess, precision="float32", group=group)
    return EagerBackbone(module, preprocess, device=device)


class EagerBackbone(Runtime):
    """A backbone in eager mode on a GPU, as training computes features there."""

    def __init__(self, backbone: nn.Module, preprocess: Preprocess, *, device: str) -> None:
        self._preprocess = preprocess
        self._device = torch.device(device)
        self._backbone = backbone.eval().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def submit(self, images: torch.Tensor) -> Results:
        """Queue a batch; see `Runtime.submit`."""
        check_images(images, size=self._preprocess.size)
        with torch.inference_mode(), on_device(self._device):
            pixels = self._preprocess.normalize(bring(images, self._device))
            features = self._backbone(pixels.contiguous(memory_format=torch.channels_last))
            return fetched_later(features.float(), images)
