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
    from torch import nn

    from vocscore.api.setup import Setup
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.runtime.base import Results


def open_features(setup: Setup) -> tuple[Runtime, int]:
    """Load the backbone of a checkpoint, in float32.

    Args:
        setup: how the model was loaded. The features of its views are averaged.

    Returns:
        A runtime whose results are features, float32, (N, F), and F.

    Raises:
        CheckpointError: it is damaged, or has changed since the model was loaded, or it is an
            imported classifier with its own last layers.
    """
    files = take(setup.run, identity=setup.identity)
    require_features(files.card, setup.run)
    network, card = load_network(files), files.card
    backbone, width = Pooled(network.backbone).eval(), network.head.in_features

    def opened(size: int) -> Runtime:
        preprocess = replace(card.preprocess, size=size)
        return open_module(backbone, preprocess, device=setup.device, group=setup.group)

    runtimes = {size: opened(size) for size in setup.sizes(card)}
    if setup.tta is None:
        return runtimes[card.preprocess.size], width
    return averaged(runtimes, setup.tta, finish=None), width


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
