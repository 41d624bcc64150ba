"""Fuses batch normalization into the preceding convolutions: fewer kernels, the same function."""

from __future__ import annotations

import copy
import logging

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

_CLOSE = 1e-3
"""Tolerance in logits; another order of the sums changes them by about 1e-5."""

_log = logging.getLogger(__name__)


@torch.no_grad()
def fuse_batch_norm(network: nn.Module, *, size: int) -> nn.Module:
    """Fuse where possible; keep the network if its outputs on noise would change.

    Exact except for rounding, zero padding included: in evaluation mode the normalization is a
    scale and a shift of the convolution's output (Jacob et al. 2018, section 3.2).

    Args:
        network: in evaluation mode, float32, on the CPU.
        size: height and width of its input.

    Returns:
        Another module with the same outputs; or `network`, if its code cannot be traced.
    """
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    try:
        fused: nn.Module = fuse(copy.deepcopy(network))
        same = torch.allclose(fused(noise), network(noise), rtol=_CLOSE, atol=_CLOSE)
    except Exception as error:  # noqa: BLE001 - tracing runs the network's code with proxies, which may raise anything
        _log.info("batch normalization is not fused: %s", error)
        return network
    return fused if same else network
