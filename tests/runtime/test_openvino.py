"""OpenVINO computes what PyTorch computes, whatever the batches."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import torchvision

from vocscore.models.card import ModelCard
from vocscore.models.network import Network, build_network
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime.load import open_backbone, open_runtime
from vocscore.runtime.openvino import (
    MOST_STREAMS,
    OpenVinoRuntime,
    compile_model,
    has_bf16,
    shape_for,
)
from vocscore.runtime.openvino_graph import _windows, convert

SIZE = 64
CARD = ModelCard(
    backbone="resnet18",
    classes=("a", "b", "c"),
    preprocess=Preprocess(size=SIZE, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)),
    threshold=0.5,
    weights="none",
)


@pytest.fixture(scope="module")
def network() -> Network:
    """A network whose rows differ."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        made = build_network("resnet18", classes=3, weights="none", size=SIZE)
        torch.nn.init.normal_(made.head.weight, std=0.1)
    return made.eval()


def random_images(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)


def plain_logits(network: Network, images: torch.Tensor, preprocess: Preprocess) -> np.ndarray:
    """Eager PyTorch, float32."""
    with torch.no_grad():
        return network(preprocess.normalize(images)).numpy()


@cache
def opened(network: Network, *, group: int, cores: int, precision: str = "float32"):
    """A runtime of the network, compiled once for all tests that ask for the same."""
    shape = shape_for(group=group, size=SIZE, precision=precision, cores=cores)
    graph = convert(network, CARD.preprocess, shape=shape)
    return OpenVinoRuntime(compile_model(graph, shape=shape), shape=shape)


@pytest.fixture(scope="module")
def alexnet() -> Network:
    """AlexNet up to its places, and a small head in place of its three large layers."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        whole = torchvision.models.alexnet()
        places = torch.nn.Sequential(whole.features, whole.avgpool, torch.nn.Flatten())
        return Network(places, torch.nn.Linear(256 * 6 * 6, 3)).eval()


@pytest.mark.parametrize("size", [64, 96, 224, 256])
def test_adaptive_pooling_of_equal_windows(alexnet: Network, size: int) -> None:
    """AlexNet's 6x6 places, from 1x1 (repeated) to 7x7 (windows of 2x2): as PyTorch has them."""
    shape = shape_for(group=2, size=size, precision="float32", cores=1)
    graph = convert(alexnet, CARD.preprocess, shape=shape)
    kinds = {node.get_type_name() for node in graph.get_ordered_ops()}
    assert ("AdaptiveAvgPool" in kinds) == (size in (64, 96))  # 1x1 and 2x2 to 6x6
    images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    found = OpenVinoRuntime(compile_model(graph, shape=shape), shape=shape).probabilities(images)
    np.testing.assert_allclose(found, plain_logits(alexnet, images, CARD.preprocess), atol=1e-5)


def test_windows_are_torchs() -> None:
    """Where all windows are equal, a plain pooling gives what torch's adaptive one gives."""
    equal = 0
    for size in range(1, 20):
        values = torch.arange(size, dtype=torch.float64).square()[None, None]
        for number in range(1, 10):
            windows = _windows(size, number)
            if windows is None:
                continue
            equal += 1
            stride, length = windows
            plain = torch.nn.functional.avg_pool1d(values, length, stride)
            adaptive = torch.nn.functional.adaptive_avg_pool1d(values, number)
            torch.testing.assert_close(plain, adaptive)
    assert equal > 30


@pytest.mark.parametrize("count", [1, 4, 5, 11])
def test_batches_of_any_number(network: Network, count: int) -> None:
    """Part of a group, a group, and several groups at once give the rows that PyTorch gives."""
    images = random_images(count)
    found = opened(network, group=4, cores=2).probabilities(images)
    assert found.std() > 1e-3, "the rows must differ, or this test shows nothing"
    np.testing.assert_allclose(found, plain_logits(network, images, CARD.preprocess), atol=1e-5)


def test_bits_do_not_depend_on_the_number_of_cores(network: Network) -> None:
    """One thread works on a batch, however many batches are worked on."""
    images = random_images(8)
    one, three = (opened(network, group=4, cores=cores).probabilities(images) for cores in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_results_are_those_of_their_own_batch(network: Network) -> None:
    """Many batches under way, fetched in the order of submission, do not mix."""
    runtime = opened(network, group=2, cores=2)
    images = random_images(20)
    waiting = [runtime.submit(images[at : at + 2].clone()) for at in range(0, 20, 2)]
    found = np.concatenate([results() for results in waiting])
    np.testing.assert_array_equal(found, runtime.probabilities(images))


def test_temperature_divides_logits(network: Network) -> None:
    """Probabilities are the sigmoid of logits over the card's temperature."""
    images = random_images(3)
    card = replace(CARD, temperature=2.5)
    expected = 1 / (1 + np.exp(-plain_logits(network, images, card.preprocess) / 2.5))
    runtime = open_runtime(network, card, device="cpu", precision="float32", group=3)
    np.testing.assert_allclose(runtime.probabilities(images), expected, atol=1e-5)


def test_features(network: Network) -> None:
    """A backbone's results are its features."""
    images = random_images(3)
    runtime = open_backbone(network.backbone, CARD.preprocess, precision="float32", group=2)
    with torch.no_grad():
        expected = network.backbone(CARD.preprocess.normalize(images)).numpy()
    assert expected.shape == (3, 512)
    np.testing.assert_allclose(runtime.probabilities(images), expected, rtol=1e-4, atol=1e-4)


def test_bf16_is_near(network: Network) -> None:
    """bf16 has 8 bits of mantissa: logits are within a few hundredths, and not float32's."""
    if not has_bf16():
        pytest.skip("this processor does not compute in bf16")
    images = random_images(8)
    found = opened(network, group=4, cores=2, precision="bf16").probabilities(images)
    exact = plain_logits(network, images, CARD.preprocess)
    assert 0 < np.abs(found - exact).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("cores", "streams", "threads"), [(1, 1, 1), (2, 2, 2), (8, 8, 8), (9, 8, 8), (64, 8, 64)]
)
def test_cores_are_shared_out(cores: int, streams: int, threads: int) -> None:
    """One thread a stream up to the most streams; more cores make streams of equal threads."""
    shape = shape_for(group=32, size=SIZE, precision="float32", cores=cores)
    assert (shape.streams, shape.threads) == (streams, threads)
    assert shape.streams <= MOST_STREAMS
    assert shape.threads % shape.streams == 0


CHILD = """
import gc, signal, subprocess
import numpy, torch
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime.load import open_backbone
signal.signal(signal.SIGCHLD, lambda *_: None)
for _ in range(3):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten())
    runtime = open_backbone(network, Preprocess(size=8), precision="float32", group=2)
    assert runtime.probabilities(torch.zeros(3, 3, 8, 8, dtype=torch.uint8)).shape == (3, 144)
    del runtime
    gc.collect()
    subprocess.run(["true"], check=True)
"""


def test_signals_arrive_after_a_runtime_has_gone() -> None:
    """A child's end finds a stack to be handled on, though every compiled model is deleted."""
    command = [sys.executable, "-c", CHILD]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_several_compiled_models_take_turns(network: Network) -> None:
    """One for each stream: the rows of one model, in their order, and each has its share."""
    shape = shape_for(group=4, size=SIZE, precision="float32", cores=2)
    graph = convert(network, CARD.preprocess, shape=shape)
    models = tuple(Counted(compile_model(graph, shape=shape.one_stream)) for _ in range(2))
    runtime = OpenVinoRuntime(models, shape=shape)
    images = random_images(14)
    expected = opened(network, group=4, cores=2).probabilities(images)
    for _ in range(2):
        np.testing.assert_array_equal(runtime.probabilities(images), expected)
    assert [model.requests for model in models] == [2, 2]


@pytest.mark.parametrize("models", [1, 2])
def test_no_request_is_created_while_a_stream_works(network: Network, models: int) -> None:
    """OpenVINO would wait for the stream: what is in flight at a time was created before."""
    shape = shape_for(group=2, size=SIZE, precision="float32", cores=2)
    each = shape if models == 1 else shape.one_stream
    graph = convert(network, CARD.preprocess, shape=shape)
    compiled = tuple(Counted(compile_model(graph, shape=each)) for _ in range(models))
    runtime = OpenVinoRuntime(compiled, shape=shape)
    created = [model.requests for model in compiled]
    assert (runtime.at_once, runtime.in_flight) == (2, 2 + models)  # one more for each model
    waiting = [runtime.submit(random_images(2)) for _ in range(runtime.in_flight)]
    for results in waiting:
        assert results().shape == (2, len(CARD.classes))
    assert [model.requests for model in compiled] == created


class Counted:
    """A compiled model that counts its inference requests."""

    def __init__(self, compiled) -> None:
        self.compiled = compiled
        self.outputs = compiled.outputs
        self.requests = 0

    def create_infer_request(self):
        self.requests += 1
        return self.compiled.create_infer_request()
