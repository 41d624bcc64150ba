"""Converts a network to an OpenVINO graph that takes the pixels of images."""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import nn

    from vocscore.pipeline.preprocess import Preprocess

from vocscore.runtime.openvino import Shape, core


def convert(module: nn.Module, preprocess: Preprocess, *, shape: Shape) -> Any:
    """Convert a module to an OpenVINO graph.

    Args:
        module: normalized float32 images (N, 3, S, S) -> (N, F), or a tuple of such; in evaluation
            mode, on the CPU.
        preprocess: its normalization becomes the graph's first step.
        shape: its group and size are used.

    Returns:
        An `openvino.Model`: uint8 (group, S, S, 3) -> float32 (group, F), one output or several.

    Raises:
        DeviceError: see `core`.
    """
    core()
    import openvino

    sides = [shape.size, shape.size]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's tracer, which OpenVINO calls, is deprecated
        model = openvino.convert_model(
            module, example_input=torch.zeros(1, 3, *sides), input=[shape.group, 3, *sides]
        )
    _pool_plainly(model)
    pixels = openvino.opset13.parameter([shape.group, *sides, 3], openvino.Type.u8)
    model.get_parameters()[0].output(0).replace(_channels_first(normalized(pixels, preprocess)))
    return openvino.Model(model.get_results(), [pixels], "network")


def normalized(pixels: Any, preprocess: Preprocess) -> Any:
    """(pixel - mean) / std: uint8 (N, S, S, 3) -> float32 (N, S, S, 3)."""
    from openvino import opset13 as ops

    mean, std = (
        255 * np.array(values, np.float32).reshape(1, 1, 1, 3)
        for values in (preprocess.mean, preprocess.std)
    )
    centered = ops.subtract(ops.convert(pixels, "f32"), ops.constant(mean))
    return ops.multiply(centered, ops.constant(1 / std))


def _channels_first(images: Any) -> Any:
    """(N, S, S, 3) -> the output (N, 3, S, S), behind the normalization.

    In this order the transposition cancels with the one before the first convolution, and no pixel
    is moved; before the arithmetic, as in OpenVINO's `PrePostProcessor`, all pixels are moved
    twice.
    """
    from openvino import opset13 as ops

    return ops.transpose(images, ops.constant(np.array([0, 3, 1, 2]))).output(0)


def _pool_plainly(model: Any) -> None:
    """Replace adaptive pooling over equal windows by average pooling, which has a fast kernel.

    In AlexNet, from 7x7 to 6x6, it averages windows of 2x2 with stride 1.
    """
    from openvino import opset13 as ops

    for node in model.get_ordered_ops():
        if node.get_type_name() != "AdaptiveAvgPool":
            continue
        sides = zip(node.input(0).get_shape()[2:], node.output(0).get_shape()[2:], strict=True)
        found = [_windows(size, number) for size, number in sides]
        if None in found:
            continue
        strides, kernel = zip(*found, strict=True)
        none = [0] * len(kernel)
        plain = ops.avg_pool(
            node.input_value(0), list(strides), none, none, list(kernel), exclude_pad=True
        )
        node.output(0).replace(plain.output(0))


def _windows(size: int, number: int) -> tuple[int, int] | None:
    """Return stride and length of the windows of an adaptive pooling; None if they vary.

    Also None for a single window, for which OpenVINO already has a fast kernel.

    Source: torch's `AdaptiveAvgPool2d`: window i is floor(i size / number) to
    ceil((i + 1) size / number).
    """
    starts = [i * size // number for i in range(number)]
    lengths = {-(-(i + 1) * size // number) - start for i, start in enumerate(starts)}
    strides = {after - before for before, after in itertools.pairwise(starts)}
    if len(lengths) != 1 or len(strides) != 1 or 0 in strides:
        return None
    return strides.pop(), lengths.pop()
