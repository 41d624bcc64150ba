"""Cuts a backbone before its pooling: the same layers and names, but the last map as its output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from vocscore.errors import CheckpointError
from vocscore.models.timm_backbones import TimmBackbone

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

_POOLS = (nn.AdaptiveAvgPool2d, nn.AvgPool2d)
_FUNCTIONS = (functional.adaptive_avg_pool2d, torch.mean)


def cut_before_pooling(backbone: nn.Module, *, name: str, size: int) -> tuple[nn.Module, int]:
    """Return the part of a backbone up to its last pooling.

    Args:
        backbone: normalized images (N, 3, S, S) -> features (N, F); its parameters are shared.
        name: of the backbone, for errors.
        size: S.

    Returns:
        A module, in evaluation mode, normalized images -> maps (N, F, h, w), and F. It has the
        backbone's parameters under the backbone's names, without those of layers after the map.

    Raises:
        CheckpointError: the backbone has no map.
    """
    backbone.eval()
    try:
        if isinstance(backbone, TimmBackbone):
            return _measured(TimmMaps(backbone.model), size=size)
        # Tracing runs the backbone's code with proxies, which may raise anything.
        return _measured(_traced(backbone), size=size)
    except Exception as error:
        raise CheckpointError(
            f"backbone {name!r} has no map of places before its features, which `head='csra'` and "
            "heat maps need. Use `head='linear'`, or a convolutional backbone such as resnet18."
        ) from error


class TimmMaps(TimmBackbone):
    """A backbone of timm up to its last map."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, S, S) -> maps (N, F, h, w)."""
        return self.forward_map(images)


def _measured(cut: nn.Module, *, size: int) -> tuple[nn.Module, int]:
    """Return a cut backbone in evaluation mode, and F.

    Raises:
        ValueError: its output is not a map.
    """
    features, _, _ = map_shape(cut.eval(), size=size)
    return cut, features


def map_shape(backbone: nn.Module, *, size: int) -> tuple[int, ...]:
    """Return (F, h, w), from one black image of `size` pixels a side."""
    with torch.inference_mode():
        return tuple(backbone(torch.zeros(1, 3, size, size)).shape[1:])


def _traced(backbone: nn.Module) -> GraphModule:
    """Trace the backbone and end the graph before its last pooling."""
    traced = torch.fx.symbolic_trace(backbone)
    pools = [node for node in traced.graph.nodes if _is_pool(node, traced)]
    last = pools[-1]
    for node in traced.graph.nodes:
        if node.op == "output":
            node.args = (last.args[0],)
    traced.graph.eliminate_dead_code()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _is_pool(node: Node, traced: GraphModule) -> bool:
    target: Any = node.target
    if node.op == "call_module":
        return isinstance(traced.get_submodule(target), _POOLS)
    if node.op == "call_method":
        return bool(target == "mean")
    return node.op == "call_function" and target in _FUNCTIONS
