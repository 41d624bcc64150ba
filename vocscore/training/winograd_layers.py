"""Convolutions of a network that are trained by Winograd's algorithm."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv2d_input

from vocscore.pipeline.devices import is_gpu
from vocscore.training.winograd import POINTS, TILE, winograd

if TYPE_CHECKING:
    from vocscore.models.network import Network

_LEAST_TILES = 64
"""With fewer, transforming the weights costs what is saved."""
# Products of input and output channels from which it pays.
_LEAST_FOR_RESULTS = 96 * 128
_LEAST_FOR_WEIGHTS = 64 * 64


class _Convolution(torch.autograd.Function):
    """A convolution with stride 1; each of its three products is a `Winograd` where that pays."""

    @staticmethod
    def forward(
        context: Any, images: torch.Tensor, weights: torch.Tensor, padding: int
    ) -> torch.Tensor:
        """Images (N, C, H, W) and weights (K, C, r, r) -> (N, K, H', W'), all channels-last."""
        context.save_for_backward(images, weights)
        context.padding = padding
        if not _pays(weights, _LEAST_FOR_RESULTS):
            return functional.conv2d(images, weights, padding=padding)
        way = winograd(weights.shape[2])
        return _planes(way.convolve(_pixels(images), _by_place(weights), padding))

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of images and weights."""
        images, weights = context.saved_tensors
        padding, way = context.padding, winograd(weights.shape[2])
        of_images = of_weights = None
        wanted = context.needs_input_grad
        if wanted[0] and _pays(weights, _LEAST_FOR_RESULTS):
            turned = _by_place(weights).flip(0).transpose(1, 2)
            back = way.kernel - 1 - padding
            of_images = _planes(way.convolve(_pixels(gradient), turned, back))
        elif wanted[0]:
            of_images = _gradients(gradient, images, weights, padding)
        if wanted[1]:
            places = way.gradient_of_weights(_pixels(images), _pixels(gradient), padding)
            shape = (len(weights), way.kernel, way.kernel, -1)
            of_weights = _planes(places.transpose(0, 1).contiguous().view(shape))
        return of_images, of_weights, None


def _gradients(
    gradient: torch.Tensor, images: torch.Tensor, weights: torch.Tensor, padding: int
) -> torch.Tensor:
    """The gradient of the images, directly."""
    found: torch.Tensor = conv2d_input(  # type: ignore[no-untyped-call]
        images.shape, weights, gradient, padding=padding
    )
    return found


def _pays(weights: torch.Tensor, least: int) -> bool:
    return weights.shape[0] * weights.shape[1] >= least


def _pixels(images: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> (N, H, W, C), contiguous; no copy if it is channels-last."""
    return images.permute(0, 2, 3, 1).contiguous()


def _planes(pixels: torch.Tensor) -> torch.Tensor:
    """(N, H, W, C), contiguous -> (N, C, H, W), channels-last; no copy."""
    return pixels.permute(0, 3, 1, 2)


def _by_place(weights: torch.Tensor) -> torch.Tensor:
    """Weights (K, C, r, r) -> (r * r, K, C)."""
    return weights.permute(2, 3, 0, 1).reshape(-1, *weights.shape[:2])


class WinogradConv2d(nn.Conv2d):
    """A convolution that computes as `Winograd` in training where it pays; else as its base."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        """Images (N, C, H, W) -> (N, K, H', W')."""
        if not self.training or not self._has_tiles(input):
            return super().forward(input)
        output: torch.Tensor = _Convolution.apply(input, self.weight, self.padding[0])
        return output if self.bias is None else output + self.bias.view(1, -1, 1, 1)

    def _has_tiles(self, images: torch.Tensor) -> bool:
        """Whether there are enough tiles."""
        if images.ndim != 4:
            return False
        sides = (s + 2 * int(self.padding[0]) - self.kernel_size[0] + 1 for s in images.shape[2:])
        down, across = (-(-side // TILE) for side in sides)
        return len(images) * down * across >= _LEAST_TILES


def with_fewer_multiplications(network: Network, *, device: torch.device, bf16: bool) -> Network:
    """Copy a network so that it trains faster; return it as is where that has not been measured.

    With AVX2, steps take 1.1 (at 128x128 pixels) to 1.3 times (256x256) as long without it; with
    AVX-512, whose direct convolutions are faster, 0.9 to 1.1 times.

    The copy's state has the same names. In evaluation mode it computes as the network does.
    """
    if is_gpu(device) or bf16 or torch.backends.cpu.get_cpu_capability() != "AVX2":
        return network
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Conv2d and _can_replace(child):
                setattr(module, name, _replaced(child))
    return network


def _can_replace(layer: nn.Conv2d) -> bool:
    side = layer.kernel_size[0]
    plain = (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
    return (
        plain
        and layer.padding_mode == "zeros"
        and layer.kernel_size in {(r, r) for r in POINTS}
        and layer.padding in {(p, p) for p in range(side)}
        and _pays(layer.weight, _LEAST_FOR_WEIGHTS)
    )


def _replaced(layer: nn.Conv2d) -> WinogradConv2d:
    made = copy.copy(layer)
    made.__class__ = WinogradConv2d
    assert isinstance(made, WinogradConv2d)
    return made
