"""Batch normalization with statistics over the batches of all processes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from vocscore.models.timm_backbones import TimmBackbone
from vocscore.pipeline.devices import is_gpu
from vocscore.training.distributed import summed

if TYPE_CHECKING:
    from vocscore.models.network import Network
    from vocscore.ranks import Ranks


class HostBatchNorm(_BatchNorm):
    """The CPU counterpart of `nn.SyncBatchNorm`, which exists on GPUs only; inputs (N, C, ...).

    N may be 0 in some processes. Ioffe and Szegedy 2015, algorithm 1, with sums over all processes.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        """Normalize by the batch in training, by the running statistics in evaluation."""
        if not self.training:
            return super().forward(input)
        axes = [0, *range(2, input.ndim)]
        across = (1, -1, *[1] * (input.ndim - 2))
        x = input.float()
        number = x.new_tensor([x.numel() / x.shape[1]])
        sums = _sum(torch.cat((x.sum(axes), number)))
        mean, count = sums[:-1] / sums[-1], sums[-1]
        centered = x - mean.view(across)
        variance = _sum(centered.square().sum(axes)) / count
        self._run(mean.detach(), variance.detach() * count / (count - 1))
        scale = (variance + self.eps).rsqrt() * self.weight
        output: torch.Tensor = centered * scale.view(across) + self.bias.view(across)
        return output.to(input.dtype)

    def _check_input_dim(self, input: torch.Tensor) -> None:  # noqa: A002 - torch's name
        """Accept any number of dimensions."""

    @torch.no_grad()
    def _run(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Update the running statistics; the variance is the unbiased one, as in torch."""
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked += 1
        share = self.momentum or 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class HostBatchNormAct(HostBatchNorm):
    """The CPU counterpart of timm's `BatchNormAct2d`: dropout and an activation follow."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        """Normalize as `HostBatchNorm`, then drop and activate."""
        output: torch.Tensor = self.act(self.drop(super().forward(input)))
        return output


class _Sum(torch.autograd.Function):
    """A sum over all processes, whose gradient is the sum of the gradients of all processes.

    torch's own (`torch.distributed.nn.functional.all_reduce`) is deprecated, and its replacement
    is private.
    """

    @staticmethod
    def forward(_context: Any, own: torch.Tensor) -> torch.Tensor:
        """Return the sum in a new tensor."""
        return summed(own)

    @staticmethod
    def backward(_context: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Return the sum in a new tensor."""
        return summed(gradient)


def _sum(own: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = _Sum.apply(own)
    return result


def with_shared_statistics(network: Network, ranks: Ranks, *, device: torch.device) -> Network:
    """Copy a network so that it normalizes over all processes; with one process, return it as is.

    The copy's state has the same names.
    """
    if ranks.size == 1:
        return network
    network = copy.deepcopy(network)
    if is_gpu(device):
        found: Network
        if isinstance(network.backbone, TimmBackbone):  # torch's would lose activations
            from timm.layers import convert_sync_batchnorm

            found = convert_sync_batchnorm(network)
        else:
            found = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return found
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, _on_host(child))
    return network


def _on_host(norm: _BatchNorm) -> HostBatchNorm:
    activates = hasattr(norm, "drop") and hasattr(norm, "act")  # timm's, which is not imported
    kind = HostBatchNormAct if activates else HostBatchNorm
    made = kind(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    if isinstance(made, HostBatchNormAct):
        made.drop, made.act = norm.get_submodule("drop"), norm.get_submodule("act")
    made.load_state_dict(norm.state_dict())
    return made
