"""How a network is executed: pixels in, probabilities out, in the same order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vocscore.errors import DeviceError
from vocscore.models.card import ModelCard
from vocscore.models.network import Network, build_network
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime import resolve_device
from vocscore.runtime.load import open_runtime

SIZE = 64


def card_of(backbone: str) -> ModelCard:
    return ModelCard(
        backbone=backbone,
        classes=("a", "b", "c"),
        preprocess=Preprocess(size=SIZE, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)),
        threshold=0.5,
        weights="none",
    )


def network_of(backbone: str) -> Network:
    """A network with a head that is not zero, in training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = build_network(backbone, classes=3, weights="none", size=SIZE)
        torch.nn.init.normal_(network.head.weight, std=0.1)
    return network


def random_images(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (count, 3, SIZE, SIZE)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("backbone", ["resnet18", "alexnet", "squeezenet1_0"])
def test_probabilities_are_the_sigmoid_of_the_plain_network(backbone: str) -> None:
    """A runtime gives what normalizing, the network and a sigmoid give, as float32 (N, C)."""
    images = random_images(5)
    network = network_of(backbone).eval()
    mean = np.array([0.4, 0.5, 0.6]).reshape(1, 3, 1, 1)
    std = np.array([0.2, 0.25, 0.3]).reshape(1, 3, 1, 1)
    inputs = torch.from_numpy((images.numpy() / 255 - mean) / std).float()
    with torch.no_grad():
        logits = network(inputs).double().numpy()
    found = open_runtime(network_of(backbone), card_of(backbone), device="cpu").probabilities(
        images
    )
    assert found.dtype == np.float32
    assert found.shape == (5, 3)
    assert found.std() > 1e-3, "the probabilities must differ, or this test shows nothing"
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_memory_format_does_not_matter() -> None:
    """Channels-last pixels, as loaders give them, and plain ones have equal probabilities."""
    runtime = open_runtime(network_of("resnet18"), card_of("resnet18"), device="cpu")
    images = random_images(4)
    last = images.contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(runtime.probabilities(images), runtime.probabilities(last))


@pytest.mark.slow
def test_dropout_and_batch_statistics_are_inert() -> None:
    """An image scores the same alone, in company, and again."""
    for backbone in ("alexnet", "resnet18"):
        runtime = open_runtime(network_of(backbone).train(), card_of(backbone), device="cpu")
        images = random_images(6)
        together = runtime.probabilities(images)
        np.testing.assert_allclose(runtime.probabilities(images[2:3]), together[2:3], atol=1e-5)
        np.testing.assert_array_equal(runtime.probabilities(images), together)


def test_empty_batch() -> None:
    """No images give no rows, and the columns of the classes."""
    runtime = open_runtime(network_of("resnet18"), card_of("resnet18"), device="cpu")
    found = runtime.probabilities(random_images(0))
    assert found.shape == (0, 3)
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 3, 32, 32, dtype=torch.uint8),
        torch.zeros(2, 3, SIZE, SIZE),
        torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8),
    ],
    ids=["size", "dtype", "layout"],
)
def test_pixels_of_another_kind_are_refused(images: torch.Tensor) -> None:
    """Pixels that are not what the checkpoint's Preprocess gives are an error, not a score."""
    runtime = open_runtime(network_of("resnet18"), card_of("resnet18"), device="cpu")
    with pytest.raises(ValueError, match=r"takes uint8 \(N, 3, 64, 64\)"):
        runtime.probabilities(images)


@pytest.mark.parametrize(
    ("gpus", "name", "device"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (2, "cpu", "cpu"),
        (2, "auto", "cuda:0"),
        (2, "cuda", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
    ],
)
def test_device_by_name(gpus: int, name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """'auto' is the first GPU or else the CPU; other names stand for themselves."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert resolve_device(name) == device


@pytest.mark.parametrize(
    ("gpus", "name", "message"),
    [
        (0, "cuda", "none visible"),
        (0, "cuda:0", "none visible"),
        (2, "cuda:2", "2 visible: cuda:0 to cuda:1"),
        (2, "cuda:", "not one of auto"),
        (2, "cuda:-1", "not one of auto"),
        (2, "cuda:x", "not one of auto"),
        (2, "gpu", "not one of auto"),
        (2, "mps", "not one of auto"),
        (2, "", "not one of auto"),
    ],
)
def test_device_that_is_not_there(
    gpus: int, name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that is not there, or no name of one, is one line that says what is."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(DeviceError, match=message):
        resolve_device(name)


@pytest.mark.gpu
@pytest.mark.parametrize("backbone", ["resnet18", "alexnet", "googlenet"])
def test_gpu_and_cpu_agree(backbone: str) -> None:
    """The same pixels score the same on CUDA, from the CPU's memory and from the GPU's."""
    images = random_images(9)
    on_cpu = open_runtime(network_of(backbone), card_of(backbone), device="cpu")
    on_gpu = open_runtime(network_of(backbone), card_of(backbone), device="cuda:0")
    expected = on_cpu.probabilities(images)
    # float32 on both: sums in another order
    np.testing.assert_allclose(on_gpu.probabilities(images), expected, atol=1e-4)
    np.testing.assert_allclose(on_gpu.probabilities(images.cuda()), expected, atol=1e-4)
