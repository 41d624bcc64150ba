"""timm's models with random weights, and what is computed with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import timm
import timm.data
import torch

from vocscore.errors import CheckpointError
from vocscore.models.network import build_network
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from vocscore.models.network import Network

LITE = "timm/tf_efficientnet_lite0"


def random_network(backbone: str, *, size: int) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build_network(backbone, classes=3, weights="none", size=size)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def pixels(size: int, *, number: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (number, 3, size, size), dtype=torch.uint8, generator=generator)


def inputs(size: int) -> torch.Tensor:
    return Preprocess(size=size).normalize(pixels(size))


def timm_model(backbone: str, *, size: int, **more: Any) -> Any:
    """The whole model of timm."""
    name = backbone.removeprefix("timm/")
    if timm.get_pretrained_cfg(name).fixed_input_size:
        more["img_size"] = size
    return timm.create_model(name, **more).eval()


def refusal(backbone: str, weights: object = "none", *, size: int = 64) -> str:
    """The one line with which a backbone or its weights are refused."""
    with pytest.raises(CheckpointError) as caught:
        build_network(backbone, classes=2, weights=str(weights), size=size)
    assert "\n" not in str(caught.value)
    return str(caught.value)
