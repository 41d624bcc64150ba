"""Optimizer, schedule, average: what a step does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vocscore.config.optimization import OptimizationConfig
from vocscore.errors import OptionError
from vocscore.training.learner import Learner
from vocscore.training.optimizer import open_optimizer
from vocscore.training.schedule import open_schedule


class Small(nn.Module):
    """A backbone with batch normalization, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5))
        self.head = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.backbone(x))
        return result


def rates(steps: int, **changes: Any) -> list[float]:
    """The head's learning rate at each step of a training of 10 steps an epoch."""
    choice = OptimizationConfig(**{"learning_rate": 0.5, **changes})
    optimizer = open_optimizer(nn.Linear(2, 2), choice)
    schedule = open_schedule(optimizer, choice, steps_an_epoch=10)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_constant_rate_stays() -> None:
    """The experiment's learning rate is the same at every step."""
    assert rates(30, epochs=3) == [0.5] * 30


def test_cosine_falls_to_zero_at_the_end() -> None:
    """Half a cosine over all steps: Loshchilov and Hutter 2017, equation 5."""
    expected = [0.5 * (1 + math.cos(math.pi * step / 30)) / 2 for step in range(30)]
    assert rates(30, epochs=3, schedule="cosine") == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_warm_up_rises_to_the_rate(schedule: str) -> None:
    """A line from a hundredth to the rate; what follows takes the steps that are left."""
    found = rates(30, epochs=3, schedule=schedule, warmup=0.5)
    rise = [0.5 * (0.01 + 0.99 * step / 5) for step in range(5)]
    assert found[:5] == pytest.approx(rise)
    assert found[5] == pytest.approx(0.5)
    last = 0.5 if schedule == "constant" else 0.5 * (1 + math.cos(math.pi * 24 / 25)) / 2
    assert found[-1] == pytest.approx(last)


@pytest.mark.parametrize(("warmup", "peak"), [(0.0, 9), (1.0, 10)])
def test_onecycle_rises_and_falls(warmup: float, peak: int) -> None:
    """From a 25th up to the rate, at 30% of the steps or after the warm-up, and down to nothing."""
    found = rates(30, epochs=3, schedule="onecycle", warmup=warmup)
    assert found[0] == pytest.approx(0.5 / 25)
    assert max(found) == pytest.approx(0.5, rel=0.01)
    assert abs(found.index(max(found)) - peak) <= 1
    assert found[-1] < 1e-5


@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle"])
def test_every_length_of_a_warm_up_and_a_training(schedule: str) -> None:
    """From one step to many, with a rise of none to all but one: finite rates, a peak at most."""
    for steps in (1, 2, 3, 7):
        for rise in range(steps):
            found = rates(steps, epochs=1, schedule=schedule, warmup=rise / steps)
            assert all(math.isfinite(rate) and 0 <= rate <= 0.5 * 1.001 for rate in found)
            assert len(found) == steps


def test_warm_up_longer_than_training_is_refused() -> None:
    """One line, with the cure."""
    with pytest.raises(OptionError, match=r"warm-up of 3 epochs.*smaller `warmup`"):
        OptimizationConfig(epochs=3, warmup=3)


def test_backbone_moves_at_its_own_rate() -> None:
    """A backbone rate of 0 .. 1 scales the first step of the backbone, and no step of the head."""
    moved = []
    for factor in (1.0, 0.1):
        torch.manual_seed(0)
        network = Small()
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        choice = OptimizationConfig(backbone_rate=factor, momentum=0.0)
        learner = Learner(network, choice, steps_an_epoch=5)
        learner.step(network(torch.ones(3, 4) * torch.arange(3)[:, None]).square().sum())
        moved.append({n: p.detach() - before[n] for n, p in network.named_parameters()})
    for name, by_one in moved[0].items():
        scale = 0.1 if name.startswith("backbone.") else 1.0
        torch.testing.assert_close(moved[1][name], by_one * scale, atol=1e-7, rtol=1e-3)
    assert float(moved[0]["backbone.0.weight"].abs().max()) > 1e-4


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_decay_is_for_matrices(optimizer: str) -> None:
    """Without a gradient, weight decay shrinks matrices by rate x decay, and no vector."""
    network = Small()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    choice = OptimizationConfig(
        optimizer=optimizer, learning_rate=0.1, weight_decay=0.2, momentum=0.0
    )
    learner = Learner(network, choice, steps_an_epoch=5)
    learner.step(sum(p.sum() * 0 for p in network.parameters()))  # type: ignore[arg-type]
    for name, parameter in network.named_parameters():
        kept = 1 - 0.1 * 0.2 if parameter.ndim > 1 else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * kept)


def test_default_is_plain_descent() -> None:
    """The experiment's settings give torch's SGD over all parameters, bit for bit."""
    torch.manual_seed(0)
    network = Small()
    twin = Small()
    twin.load_state_dict(network.state_dict())
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.01, momentum=0.9)
    learner = Learner(network, OptimizationConfig(), steps_an_epoch=3)
    for step in range(9):
        x = torch.from_numpy(np.random.default_rng(step).normal(size=(6, 4))).float()
        learner.step(network(x).square().mean())
        optimizer.zero_grad()
        twin(x).square().mean().backward()
        optimizer.step()
    for name, value in twin.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name


def test_clipped_step_is_no_longer_than_the_norm() -> None:
    """A gradient above the norm is scaled to it, one below is left."""
    for clip, expected in ((0.0, 5.0), (2.0, 2.0), (9.0, 5.0)):
        head = nn.Linear(2, 1, bias=False)
        before = head.weight.detach().clone()
        choice = OptimizationConfig(clip=clip, learning_rate=1.0, momentum=0.0)
        learner = Learner(head, choice, steps_an_epoch=3)
        learner.step((head.weight * torch.tensor([[3.0, 4.0]])).sum())
        assert float((head.weight.detach() - before).norm()) == pytest.approx(expected, rel=1e-5)


def test_average_forgets() -> None:
    """The average is decay x average + (1 - decay) x weights after each step; buffers, too."""
    torch.manual_seed(0)
    network = Small()
    learner = Learner(network, OptimizationConfig(ema=0.7, learning_rate=0.1), steps_an_epoch=9)
    expected: dict[str, torch.Tensor] = {}
    for step in range(6):
        x = torch.from_numpy(np.random.default_rng(step).normal(size=(6, 4)) + step).float()
        learner.step(network(x).square().mean())
        now = {n: v.detach().clone().double() for n, v in network.state_dict().items()}
        expected = {n: 0.7 * expected[n] + 0.3 * v for n, v in now.items()} if expected else now
    for name, value in learner.best.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)
            assert not torch.equal(value, network.state_dict()[name]), name


def test_without_average_the_weights_are_best() -> None:
    """No copy of the network is made for nothing."""
    network = Small()
    assert Learner(network, OptimizationConfig(), steps_an_epoch=1).best is network
