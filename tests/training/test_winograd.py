"""Convolutions with fewer multiplications, beside torch's own in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from vocscore.models.network import Network, empty_network
from vocscore.training.winograd_layers import WinogradConv2d, with_fewer_multiplications

MOST_ERROR = 4e-5
"""Of the largest value; float32 itself gives 1e-6."""
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this processor had no AVX-512."""
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")


def replaced(layer: nn.Conv2d) -> nn.Module:
    """The layer as it is trained, by way of a network that has only this one."""
    network = Network(nn.Sequential(layer), nn.Linear(1, 1))
    return with_fewer_multiplications(network, device=CPU, bf16=False).backbone.get_submodule("0")


def largest_error(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float((found - truth).detach().abs().max() / truth.detach().abs().max())


@pytest.mark.parametrize(
    ("channels", "kernels", "size", "kernel", "padding"),
    [
        pytest.param(64, 64, 20, 3, 1, id="only the gradient of weights"),
        pytest.param(128, 96, 15, 3, 1, id="tiles that reach beyond the image"),
        pytest.param(128, 128, 16, 3, 1, id="tiles that fit"),
        pytest.param(96, 130, 31, 5, 2, id="5x5"),
        pytest.param(128, 128, 17, 3, 0, id="no padding"),
        pytest.param(128, 128, 9, 3, 2, id="more padding than usual"),
    ],
)
def test_results_and_gradients_are_the_convolution_s(
    channels: int, kernels: int, size: int, kernel: int, padding: int
) -> None:
    """Results and all three gradients equal those of torch's convolution in float64."""
    torch.manual_seed(0)
    layer = nn.Conv2d(channels, kernels, kernel, padding=padding)
    exact, fast = copy.deepcopy(layer).double(), replaced(layer)
    assert isinstance(fast, WinogradConv2d)
    images = torch.randn(20, channels, size, size).contiguous(memory_format=torch.channels_last)
    images.requires_grad_()
    results = fast(images)
    doubles = images.detach().double().requires_grad_()
    truth = exact(doubles)
    gradient = torch.randn(results.shape)
    found = torch.autograd.grad(results, [images, *fast.parameters()], gradient)
    true = torch.autograd.grad(truth, [doubles, *exact.parameters()], gradient.double())
    for one, other in zip((results, *found), (truth, *true), strict=True):
        assert one.shape == other.shape
        assert largest_error(one, other) < MOST_ERROR


def test_evaluation_is_the_layer_s_own() -> None:
    """In evaluation mode, and for fewer images than pay, the results are the layer's to the bit."""
    torch.manual_seed(0)
    layer = nn.Conv2d(128, 128, 3, padding=1)
    fast, many, few = replaced(layer), torch.randn(20, 128, 16, 16), torch.randn(1, 128, 8, 8)
    assert not torch.equal(fast(many), layer(many))
    assert torch.equal(fast(few), layer(few))
    assert torch.equal(fast.eval()(many), layer(many))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(128, 128, 3, padding=1, stride=2),
        nn.Conv2d(128, 128, 3, padding=2, dilation=2),
        nn.Conv2d(128, 128, 3, padding=1, groups=2),
        nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(128, 128, 3, padding="same"),
        nn.Conv2d(128, 128, 3, padding=3),
        nn.Conv2d(128, 128, 1),
        nn.Conv2d(128, 128, 7, padding=3),
        nn.Conv2d(32, 32, 3, padding=1),
    ],
    ids=str,
)
def test_other_layers_stay(layer: nn.Conv2d) -> None:
    """A layer that is no plain 3x3 or 5x5 convolution, or too small, stays as it is."""
    assert type(replaced(layer)) is nn.Conv2d


def test_network_trains_as_before_with_the_same_names() -> None:
    """ResNet-18: equal names and values of the state, gradients within rounding of 40 layers."""
    torch.manual_seed(0)
    network = empty_network("resnet18", classes=3, size=64).train()
    fast = with_fewer_multiplications(network, device=CPU, bf16=False)
    assert sum(isinstance(m, WinogradConv2d) for m in fast.modules()) == 13
    assert not any(isinstance(m, WinogradConv2d) for m in network.modules())
    state = fast.state_dict()
    assert list(state) == list(network.state_dict())
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    images, gradients = torch.randn(8, 3, 64, 64), []
    for one in (network, fast):
        one.to(memory_format=torch.channels_last)
        one(images).square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in one.parameters()]))  # type: ignore[union-attr]
    assert largest_error(gradients[1], gradients[0]) < 1e-3


def test_others_keep_their_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bf16, on a GPU and with AVX-512 direct convolutions are faster: nothing is replaced."""
    network = Network(nn.Sequential(nn.Conv2d(128, 128, 3, padding=1)), nn.Linear(1, 1))
    assert with_fewer_multiplications(network, device=CPU, bf16=True) is network
    cuda = torch.device("cuda", 0)
    assert with_fewer_multiplications(network, device=cuda, bf16=False) is network
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    assert with_fewer_multiplications(network, device=CPU, bf16=False) is network


def test_equal_steps_give_equal_bits() -> None:
    """A training that is resumed has the bytes of one that was not interrupted."""
    torch.manual_seed(0)
    fast = replaced(nn.Conv2d(128, 128, 3, padding=1))
    images = torch.randn(20, 128, 17, 17).contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(20, 128, 17, 17)

    def step() -> tuple[torch.Tensor, ...]:
        given = images.clone().requires_grad_()
        return torch.autograd.grad(fast(given), [given, *fast.parameters()], gradient)

    for one, other in zip(step(), step(), strict=True):
        assert torch.equal(one, other)
