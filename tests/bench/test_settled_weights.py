"""Random weights of the measured networks."""

from __future__ import annotations

import pytest
import torch
import torchvision.models
from torch import nn

from bench.settled_weights import settled_weights


@pytest.mark.parametrize("backbone", ["squeezenet1_1", "shufflenet_v2_x0_5"])  # without, with norms
def test_each_layer_has_unit_variance_and_images_differ(backbone: str) -> None:
    """In a network that loads the weights as they are, of which the layers inside are seen."""
    images = torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    network = torchvision.models.get_model(backbone, weights=None).eval()
    usual = _varies(network(images))
    network.load_state_dict(settled_weights(backbone, images))
    deviations = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda _layer, _inputs, output: deviations.append(float(output.detach().std()))
            )
    settled = _varies(network(images))
    assert deviations == pytest.approx([1.0] * len(deviations), abs=0.2)
    assert settled > 2 * usual


def test_weights_are_the_same_every_time() -> None:
    """The rows of a network are those of the same weights, and no one else's numbers change."""
    images = torch.ones(2, 3, 64, 64)
    images[1, 0, :32] = 0
    torch.manual_seed(5)
    one = settled_weights("squeezenet1_1", images)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), drawn)
    other = settled_weights("squeezenet1_1", images)
    assert all(torch.equal(one[name], other[name]) for name in one)


def _varies(answers: torch.Tensor) -> float:
    return float(answers.detach().std(0).mean())
