"""Which layers of a network are computed in 8 bits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from vocscore.models.network import Network
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime.int8 import quantize
from vocscore.runtime.openvino import shape_for
from vocscore.runtime.openvino_graph import convert
from vocscore.runtime.proven_int8 import synthetic_images


@pytest.mark.parametrize(("preset", "floats"), [("performance", 0), ("precise", 1)])
def test_only_precise_keeps_the_first_layer(preset: str, floats: int) -> None:
    """The inputs of all other layers have 8 bits."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    backbone = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = Network(backbone, nn.Linear(8, 3)).eval()
    shape = shape_for(group=4, size=16, precision="float32", cores=1)
    preprocess = Preprocess(size=16, mean=(0.5,) * 3, std=(0.25,) * 3)
    graph = convert(network, preprocess, shape=shape)
    made = quantize(graph, [synthetic_images(shape)], preset=preset)
    in_bits = [_quantized(layer) for layer in made.get_ordered_ops() if _computes(layer)]
    assert in_bits == [False] * floats + [True] * (3 - floats)


def _computes(layer: Any) -> bool:
    return layer.get_type_name() in ("Convolution", "MatMul")


def _quantized(layer: Any) -> bool:
    node = layer.input_value(0).get_node()
    while node.get_type_name() in ("Reshape", "Transpose", "Convert"):
        node = node.input_value(0).get_node()
    return node.get_type_name() == "FakeQuantize"
