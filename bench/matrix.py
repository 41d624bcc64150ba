"""The largest matrix product: the most arithmetic that this machine does in a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

SIDES = (1024, 2048, 4096)
PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}
_SECONDS = 0.25
"""At least so long is one product of one size repeated."""


def best_product(precision: str, *, device: str = "cpu", sides: tuple[int, ...] = SIDES) -> float:
    """GFLOP/s of the fastest square product: 2 n^3 operations each.

    Args:
        precision: a key of `PRECISIONS`.
        device: where.
        sides: n, each tried.
    """
    kind = PRECISIONS[precision]
    return max(_product(torch.rand(n, n, device=device).to(kind)) for n in sides)


def _product(matrix: torch.Tensor) -> float:
    done: Callable[[], object] = torch.cuda.synchronize if matrix.is_cuda else lambda: None
    out = torch.empty_like(matrix)
    torch.matmul(matrix, matrix, out=out)
    done()
    products, started, seconds = 0, time.perf_counter(), 0.0
    while seconds < _SECONDS:
        torch.matmul(matrix, matrix, out=out)
        done()
        products += 1
        seconds = time.perf_counter() - started
    return float(products * 2 * len(matrix) ** 3 / seconds / 1e9)


def gflop_per_image(network: nn.Module, *, size: int) -> float:
    """Operations (a multiplication and an addition are two) of one image, in 10^9."""
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        network.eval()(torch.zeros(1, 3, size, size))
    return float(counter.get_total_flops() / 1e9)
