"""One training step, and all the state that it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from vocscore.training.ema import open_average
from vocscore.training.optimizer import open_optimizer
from vocscore.training.schedule import open_schedule

if TYPE_CHECKING:
    import torch

    from vocscore.config.optimization import OptimizationConfig


class Learner:
    """A module with its optimizer, learning rate schedule and weight average.

    Args:
        module: a head or a whole network, on its device.
        choice: the optimization settings.
        steps_an_epoch: for the schedule.
    """

    def __init__(
        self, module: nn.Module, choice: OptimizationConfig, *, steps_an_epoch: int
    ) -> None:
        self.module = module
        self._clip = choice.clip
        self._optimizer = open_optimizer(module, choice)
        self._schedule = open_schedule(self._optimizer, choice, steps_an_epoch=steps_an_epoch)
        self._average = open_average(module, decay=choice.ema)
        self.rate = 0.0
        """The learning rate of the last step, the head's where the backbone has its own."""

    @property
    def best(self) -> nn.Module:
        """The module to evaluate and keep: the weight average if there is one."""
        return self.module if self._average is None else self._average.module

    def step(self, loss: torch.Tensor) -> None:
        """Take one optimizer step for a loss."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._clip:
            nn.utils.clip_grad_norm_(self.module.parameters(), self._clip)
        self._optimizer.step()
        self.rate = float(self._schedule.get_last_lr()[-1])
        self._schedule.step()
        if self._average is not None:
            self._average.update_parameters(self.module)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values: all that the next step depends on, except random numbers."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state that `state` returned."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        parts = {
            "module": self.module,
            "optimiser": self._optimizer,
            "schedule": self._schedule,
            "average": self._average,
        }
        return {name: part for name, part in parts.items() if part is not None}
