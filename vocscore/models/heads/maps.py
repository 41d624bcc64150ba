"""Cuts a backbone before its pooling: the same layers and names, but the last map as its output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from vocscore.errors import CheckpointError

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
        # Tracing runs the backbone's code with proxies, which may raise anything.
        cut = _traced(backbone)
        shape = map_shape(cut, size=size)
    except Exception as error:
        raise CheckpointError(_no_map(name)) from error
    if len(shape) != 3:
        raise CheckpointError(_no_map(name))
    return cut, shape[0]


def map_shape(backbone: nn.Module, *, size: int) -> tuple[int, ...]:
    """Return (F, h, w), from one black image of `size` pixels a side."""
    with torch.inference_mode():
        return tuple(backbone(torch.zeros(1, 3, size, size)).shape[1:])


def _no_map(name: str) -> str:
    return (
        f"backbone {name!r} has no map of places before its features, which --head csra and heat "
        "maps need. Use --head linear, or a convolutional backbone such as resnet18."
    )


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
