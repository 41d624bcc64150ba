"""The optimizer: learning rates and weight decay per parameter group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

    from vocscore.config.optimization import OptimizationConfig

_ADAMW_SECOND_BETA = 0.999


def open_optimizer(module: nn.Module, choice: OptimizationConfig) -> torch.optim.Optimizer:
    """Build an optimizer over every parameter of a module.

    Args:
        module: a head, or a network whose `backbone` has its own learning rate.
        choice: optimizer, rates, momentum and weight decay.
    """
    groups = parameter_groups(module, choice)
    if choice.optimizer == "adamw":
        betas = (choice.momentum, _ADAMW_SECOND_BETA)
        return torch.optim.AdamW(groups, lr=choice.learning_rate, betas=betas)
    return torch.optim.SGD(groups, lr=choice.learning_rate, momentum=choice.momentum)


def parameter_groups(module: nn.Module, choice: OptimizationConfig) -> list[dict[str, object]]:
    """Split the parameters into up to four groups: backbone or head, with or without weight decay.

    Vectors (biases, scales and shifts of normalizations) have no decay: they are few, and pulling
    a scale to zero does not regularize.
    """
    found: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        key = (name.startswith("backbone."), parameter.ndim > 1)
        found.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": choice.learning_rate * (choice.backbone_rate if in_backbone else 1),
            "weight_decay": choice.weight_decay if decays else 0.0,
        }
        for (in_backbone, decays), parameters in found.items()
    ]
