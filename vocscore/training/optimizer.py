"""Who moves the parameters: which of them how fast, and which with weight decay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

    from vocscore.training.choices import Optimization

_ADAMW_SECOND_BETA = 0.999


def open_optimizer(module: nn.Module, choice: Optimization) -> torch.optim.Optimizer:
    """An optimizer over every parameter of a module.

    Args:
        module: a head, or a network whose `backbone` has its own learning rate.
        choice: optimizer, rates, momentum and weight decay.
    """
    groups = parameter_groups(module, choice)
    if choice.optimizer == "adamw":
        betas = (choice.momentum, _ADAMW_SECOND_BETA)
        return torch.optim.AdamW(groups, lr=choice.learning_rate, betas=betas)
    return torch.optim.SGD(groups, lr=choice.learning_rate, momentum=choice.momentum)


def parameter_groups(module: nn.Module, choice: Optimization) -> list[dict[str, object]]:
    """Up to four groups: backbone or head, with weight decay or without.

    Vectors (biases, scales and shifts of normalizations) have no decay: they are few, and pulling
    a scale to zero is no regularisation.
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
