"""The exponential moving average of a network's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

if TYPE_CHECKING:
    from torch import nn


def open_average(module: nn.Module, *, decay: float) -> AveragedModel | None:
    """The weights' EMA: after each step, average = decay * average + (1 - decay) * weights.

    It includes the statistics of batch normalization. Its window is about 1 / (1 - decay) steps, so
    a training has to be several times as long.

    Args:
        module: on its device.
        decay: in [0, 1); 0 means no average.
    """
    if not decay:
        return None
    forget = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(module, multi_avg_fn=forget, use_buffers=True)
