"""Convolutions with fewer multiplications, for training in float32 on a CPU with AVX2.

Direct convolution reaches the processor's arithmetic there, so only less arithmetic is faster. A
tile of 4x4 results of a 3x3 kernel takes 144 multiplications per pair of channels directly and 36
in this way (Winograd); sums and transforms add about 1e-5 of the largest value as rounding error.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015, section 4; the
matrices are those of Cook and Toom for any tile and kernel.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv2d_input

from vocscore.pipeline.devices import is_gpu

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vocscore.models.network import Network

_TILE = 4
"""Results per tile and side: with 6, rounding errors are ten times as large."""
_POINTS = {3: (0, 1, -1, 2, -2), 5: (0, 1, -1, 2, -2, 0.5, -0.5)}
"""Kernel size -> where the polynomials are evaluated; infinity is one more."""
_CHUNK_BYTES = 4_000_000
"""Images are transformed a few at a time, so that the transforms stay in the cache."""
_LEAST_TILES = 64
"""With fewer, transforming the weights costs what is saved."""
# Products of input and output channels from which it pays.
_LEAST_FOR_RESULTS = 96 * 128
_LEAST_FOR_WEIGHTS = 64 * 64


class Grid(NamedTuple):
    """The tiles of the results of some images.

    Attributes:
        images: N.
        height: of the results, pixels.
        width: of the results, pixels.
        down: tiles from top to bottom.
        across: tiles from left to right.
    """

    images: int
    height: int
    width: int
    down: int
    across: int

    @property
    def tiles(self) -> int:
        """T: tiles of all images."""
        return self.images * self.down * self.across


@dataclass(frozen=True)
class Winograd:
    """The transforms for one size of kernel, r; a tile has m x m results of n x n inputs.

    All are matrices between pixels of a tile, by rows: float32.

    Attributes:
        kernel: r.
        of_input: (n * n, n * n).
        of_weights: (n * n, r * r).
        to_result: (m * m, n * n).
    """

    kernel: int
    of_input: torch.Tensor
    of_weights: torch.Tensor
    to_result: torch.Tensor

    @property
    def side(self) -> int:
        """Inputs per tile and side, n."""
        return _TILE + self.kernel - 1

    def grid(self, images: torch.Tensor, padding: int) -> Grid:
        """The tiles for images (N, H, W, C)."""
        number, height, width, _ = images.shape
        down, across = (s + 2 * padding - self.kernel + 1 for s in (height, width))
        return Grid(number, down, across, -(-down // _TILE), -(-across // _TILE))

    def transformed(self, images: torch.Tensor, padding: int) -> torch.Tensor:
        """Images (N, H, W, C) -> their tiles (n * n, T, C)."""
        grid, channels, n = self.grid(images, padding), images.shape[3], self.side
        _, height, width, _ = images.shape
        below = grid.down * _TILE + self.kernel - 1 - height - padding
        right = grid.across * _TILE + self.kernel - 1 - width - padding
        padded = functional.pad(images, (0, 0, padding, right, padding, below))
        image, row, pixel, _ = padded.stride()
        tiles = padded.as_strided(
            (n, n, grid.images, grid.down, grid.across, channels),
            (row, pixel, image, _TILE * row, _TILE * pixel, 1),
        )
        return torch.mm(self.of_input, tiles.reshape(n * n, -1)).view(n * n, -1, channels)

    def transformed_gradient(self, gradient: torch.Tensor, grid: Grid) -> torch.Tensor:
        """The gradient of the results (N, H', W', K) -> (n * n, T, K)."""
        below, right = grid.down * _TILE - grid.height, grid.across * _TILE - grid.width
        if below or right:
            gradient = functional.pad(gradient, (0, 0, 0, right, 0, below))
        shape = (grid.images, grid.down, _TILE, grid.across, _TILE, -1)
        tiles = gradient.reshape(shape).permute(2, 4, 0, 1, 3, 5).reshape(_TILE * _TILE, -1)
        return torch.mm(self.to_result.t(), tiles).view(self.side**2, grid.tiles, -1)

    def convolve(self, images: torch.Tensor, weights: torch.Tensor, padding: int) -> torch.Tensor:
        """Images (N, H, W, C) and weights (r * r, K, C) -> results (N, H', W', K)."""
        kernels, channels = weights.shape[1:]
        grid = self.grid(images, padding)
        product = torch.mm(self.of_weights, weights.reshape(self.kernel**2, -1))
        product = product.view(-1, kernels, channels).transpose(1, 2)
        results = images.new_empty(grid.images, grid.height, grid.width, kernels)
        for some in self._chunks(grid, max(channels, kernels)):
            tiles = torch.bmm(self.transformed(images[some], padding), product)
            pixels = torch.mm(self.to_result, tiles.view(self.side**2, -1))
            shape = (_TILE, _TILE, -1, grid.down, grid.across, kernels)
            _join(pixels.view(shape).permute(2, 3, 0, 4, 1, 5), results[some])
        return results

    def gradient_of_weights(
        self, images: torch.Tensor, gradient: torch.Tensor, padding: int
    ) -> torch.Tensor:
        """Images (N, H, W, C) and the results' gradient (N, H', W', K) -> (r * r, K, C)."""
        channels, kernels, grid = images.shape[3], gradient.shape[3], self.grid(images, padding)
        total = images.new_zeros(self.side**2, kernels, channels)
        for some in self._chunks(grid, max(channels, kernels)):
            part = grid._replace(images=len(images[some]))
            of_results = self.transformed_gradient(gradient[some], part).transpose(1, 2)
            total.baddbmm_(of_results, self.transformed(images[some], padding))
        found = torch.mm(self.of_weights.t(), total.view(self.side**2, -1))
        return found.view(-1, kernels, channels)

    def _chunks(self, grid: Grid, channels: int) -> Iterator[slice]:
        image = self.side**2 * grid.down * grid.across * channels * 4
        step = max(1, _CHUNK_BYTES // image)
        return (slice(at, at + step) for at in range(0, grid.images, step))


def _join(tiles: torch.Tensor, results: torch.Tensor) -> None:
    """Copy tiles (N, down, m, across, m, K) to their places in results (N, H', W', K)."""
    number, down, _, across, _, kernels = tiles.shape
    height, width = results.shape[1:3]
    if (height, width) == (down * _TILE, across * _TILE):  # one copy less
        results.view(tiles.shape).copy_(tiles)
    else:
        whole = tiles.reshape(number, down * _TILE, across * _TILE, kernels)
        results.copy_(whole[:, :height, :width])


@cache
def winograd(kernel: int) -> Winograd:
    """The transforms for kernels of 3x3 or 5x5."""
    points, side = _POINTS[kernel], _TILE + kernel - 1
    # Rows of the inputs: Lagrange's polynomials without their denominators, which are the weights'.
    without = [np.poly([q for q in points if q != p])[::-1] for p in points]
    of_input = np.array([[*row, 0.0] for row in without] + [np.poly(points)[::-1]])
    scale = [np.prod([float(p - q) for q in points if q != p]) for p in points]
    of_weights = np.array(_powers(points, kernel)) / np.array([*scale, 1.0])[:, None]
    to_result = np.array(_powers(points, _TILE)).T
    assert of_input.shape == (side, side)
    # Over rows and over columns at once: one matrix product instead of two narrow ones.
    both = (torch.from_numpy(np.kron(m, m)).float() for m in (of_input, of_weights, to_result))
    return Winograd(kernel, *both)


def _powers(points: tuple[float, ...], number: int) -> list[list[float]]:
    rows = [[float(p) ** power for power in range(number)] for p in points]
    return [*rows, [0.0] * (number - 1) + [1.0]]


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
        down, across = (-(-side // _TILE) for side in sides)
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
        and layer.kernel_size in {(r, r) for r in _POINTS}
        and layer.padding in {(p, p) for p in range(side)}
        and _pays(layer.weight, _LEAST_FOR_WEIGHTS)
    )


def _replaced(layer: nn.Conv2d) -> WinogradConv2d:
    made = copy.copy(layer)
    made.__class__ = WinogradConv2d
    assert isinstance(made, WinogradConv2d)
    return made
