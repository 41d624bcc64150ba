"""Convolutions with fewer multiplications, for training in float32 on a CPU with AVX2.

Direct convolution reaches the processor's arithmetic there, so only less arithmetic is faster. A
tile of 4x4 results of a 3x3 kernel takes 144 multiplications per pair of channels directly and 36
in this way (Winograd); sums and transforms add about 1e-5 of the largest value as rounding error.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015, section 4; the
matrices are those of Cook and Toom for any tile and kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

TILE = 4
"""Results per tile and side: with 6, rounding errors are ten times as large."""
POINTS = {3: (0, 1, -1, 2, -2), 5: (0, 1, -1, 2, -2, 0.5, -0.5)}
"""Kernel size -> where the polynomials are evaluated; infinity is one more."""
_CHUNK_BYTES = 4_000_000
"""Images are transformed a few at a time, so that the transforms stay in the cache."""


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
        return TILE + self.kernel - 1

    def grid(self, images: torch.Tensor, padding: int) -> Grid:
        """The tiles for images (N, H, W, C)."""
        number, height, width, _ = images.shape
        down, across = (s + 2 * padding - self.kernel + 1 for s in (height, width))
        return Grid(number, down, across, -(-down // TILE), -(-across // TILE))

    def transformed(self, images: torch.Tensor, padding: int) -> torch.Tensor:
        """Images (N, H, W, C) -> their tiles (n * n, T, C)."""
        grid, channels, n = self.grid(images, padding), images.shape[3], self.side
        _, height, width, _ = images.shape
        below = grid.down * TILE + self.kernel - 1 - height - padding
        right = grid.across * TILE + self.kernel - 1 - width - padding
        padded = functional.pad(images, (0, 0, padding, right, padding, below))
        image, row, pixel, _ = padded.stride()
        tiles = padded.as_strided(
            (n, n, grid.images, grid.down, grid.across, channels),
            (row, pixel, image, TILE * row, TILE * pixel, 1),
        )
        return torch.mm(self.of_input, tiles.reshape(n * n, -1)).view(n * n, -1, channels)

    def transformed_gradient(self, gradient: torch.Tensor, grid: Grid) -> torch.Tensor:
        """The gradient of the results (N, H', W', K) -> (n * n, T, K)."""
        below, right = grid.down * TILE - grid.height, grid.across * TILE - grid.width
        if below or right:
            gradient = functional.pad(gradient, (0, 0, 0, right, 0, below))
        shape = (grid.images, grid.down, TILE, grid.across, TILE, -1)
        tiles = gradient.reshape(shape).permute(2, 4, 0, 1, 3, 5).reshape(TILE * TILE, -1)
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
            shape = (TILE, TILE, -1, grid.down, grid.across, kernels)
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
    if (height, width) == (down * TILE, across * TILE):  # one copy less
        results.view(tiles.shape).copy_(tiles)
    else:
        whole = tiles.reshape(number, down * TILE, across * TILE, kernels)
        results.copy_(whole[:, :height, :width])


@cache
def winograd(kernel: int) -> Winograd:
    """The transforms for kernels of 3x3 or 5x5."""
    points, side = POINTS[kernel], TILE + kernel - 1
    # Rows of the inputs: Lagrange's polynomials without their denominators, which are the weights'.
    without = [np.poly([q for q in points if q != p])[::-1] for p in points]
    of_input = np.array([[*row, 0.0] for row in without] + [np.poly(points)[::-1]])
    scale = [np.prod([float(p - q) for q in points if q != p]) for p in points]
    of_weights = np.array(_powers(points, kernel)) / np.array([*scale, 1.0])[:, None]
    to_result = np.array(_powers(points, TILE)).T
    assert of_input.shape == (side, side)
    # Over rows and over columns at once: one matrix product instead of two narrow ones.
    both = (torch.from_numpy(np.kron(m, m)).float() for m in (of_input, of_weights, to_result))
    return Winograd(kernel, *both)


def _powers(points: tuple[float, ...], number: int) -> list[list[float]]:
    rows = [[float(p) ** power for power in range(number)] for p in points]
    return [*rows, [0.0] * (number - 1) + [1.0]]
