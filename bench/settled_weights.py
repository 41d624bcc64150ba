"""Random weights whose activations vary from image to image, as trained ones do.

With the usual random weights, and batch norms that have seen no image, the activations of a deep
network shrink until all images have the same probabilities: every arithmetic would agree with every
other. So each layer is scaled to unit variance on some images.

Source: Mishkin and Matas, All You Need Is a Good Init, 2015, algorithm 1 (without its orthogonal
matrices).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torchvision.models
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEED = 0
_INSIDE = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}
"""Without these, torchvision draws their weights one by one, for half a minute."""


def settled_weights(backbone: str, images: torch.Tensor) -> Mapping[str, torch.Tensor]:
    """The state of a classifier of torchvision, its weights random.

    Args:
        backbone: its name in torchvision.
        images: normalized, float32 (N, 3, S, S).
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(_SEED)
        options: dict[str, Any] = _INSIDE.get(backbone, {})
        network = torchvision.models.get_model(backbone, weights=None, **options).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = None  # one batch counts in full
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(_to_unit_variance)
    with torch.no_grad():
        network(images)
    state: dict[str, torch.Tensor] = network.state_dict()
    return state


def _to_unit_variance(
    layer: nn.Module, _inputs: tuple[torch.Tensor, ...], output: torch.Tensor
) -> torch.Tensor:
    scale = output.std().clamp_min(1e-6)
    for parameter in layer.parameters(recurse=False):
        parameter.div_(scale)
    return output / scale
