"""The learning rate over the steps of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    SequentialLR,
)

if TYPE_CHECKING:
    import torch

    from vocscore.config.optimization import OptimizationConfig

_FIRST_FACTOR = 0.01
"""Factor on the learning rate at the first step of a warm-up."""
_ONECYCLE_RISE = 0.3
"""Share of steps for which one-cycle rises, if no warm-up is set: torch's default."""


def open_schedule(
    optimizer: torch.optim.Optimizer, choice: OptimizationConfig, *, steps_an_epoch: int
) -> LRScheduler:
    """Build a schedule to be stepped after every optimizer step.

    'constant' keeps the rate, 'cosine' falls to zero with the last step, 'onecycle' starts at 1/25
    of the rate, rises to it and falls to almost zero (Smith and Topin 2018, torch's `OneCycleLR`).
    """
    total = choice.epochs * steps_an_epoch
    rise = min(round(choice.warmup * steps_an_epoch), total - 1)
    if choice.schedule == "onecycle":
        rates = [group["lr"] for group in optimizer.param_groups]
        # torch divides by the rise's steps minus 1; half a step more changes no step
        share = max(rise, 1.5) / total if rise else _ONECYCLE_RISE
        return OneCycleLR(
            optimizer, rates, total_steps=total, pct_start=share, cycle_momentum=False
        )
    after: LRScheduler = (
        CosineAnnealingLR(optimizer, T_max=total - rise)
        if choice.schedule == "cosine"
        else LambdaLR(optimizer, _stay)
    )
    if not rise:
        return after
    warm = LinearLR(optimizer, start_factor=_FIRST_FACTOR, total_iters=rise)
    return SequentialLR(optimizer, [warm, after], milestones=[rise])


def _stay(_step: int) -> float:
    return 1.0
