"""The GPU's runtime: its arithmetic and its bookkeeping on any machine, its graph on a GPU."""

from __future__ import annotations

import copy
import logging
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from vocscore.models.network import Network, build_network
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime import cuda
from vocscore.runtime import fuse_batch_norm as fusing
from vocscore.runtime.cuda import Captured, CudaRuntime, Step
from vocscore.runtime.fuse_batch_norm import fuse_batch_norm

SIZE = 64
BATCH = 8
PREPROCESS = Preprocess(size=SIZE, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


def network_of(backbone: str = "resnet18") -> Network:
    """A network whose head and normalizations are not trivial; a new one each time."""
    return copy.deepcopy(_drawn(backbone))


@cache
def _drawn(backbone: str) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build_network(backbone, classes=5, weights="none", size=SIZE)
        nn.init.normal_(network.head.weight, std=0.1)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def random_images(count: int, *, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 3, SIZE, SIZE)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return images.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def plain(images: torch.Tensor, backbone: str = "resnet18") -> np.ndarray:
    """The plain network on normalized pixels, in float32."""
    return _drawn(backbone)(PREPROCESS.normalize(images)).sigmoid().numpy()


def runtime_of(
    backbone: str = "resnet18",
    *,
    device: str = "cpu",
    precision: str = "float32",
    graph: bool = True,
) -> CudaRuntime:
    return CudaRuntime(
        network_of(backbone),
        preprocess=PREPROCESS,
        classes=5,
        device=device,
        precision=precision,
        batch_size=BATCH,
        graph=graph,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pixels_are_normalized_in_float32_and_rounded_once(dtype: torch.dtype) -> None:
    """The fused step gives what `Preprocess.normalize` gives, rounded to the network's type."""
    images = random_images(2)
    found = Step(nn.Identity(), PREPROCESS, dtype=dtype).normalized(images)
    expected = PREPROCESS.normalize(images)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    # bfloat16 keeps 8 bits: half a unit in the last place is 2**-9 of the value
    rtol = 2.0**-8 if dtype == torch.bfloat16 else 0
    torch.testing.assert_close(found.float(), expected, rtol=rtol, atol=2e-6)


@pytest.mark.parametrize("backbone", ["resnet18", "alexnet", "googlenet"])
@pytest.mark.parametrize(("precision", "atol"), [("float32", 1e-5), ("bf16", 0.02)])
def test_probabilities_are_the_plain_networks(backbone: str, precision: str, atol: float) -> None:
    """Folded, fused and in bf16, the probabilities stay within the promised 0.02."""
    images = random_images(5)
    found = runtime_of(backbone, precision=precision).probabilities(images)
    expected = plain(images, backbone)
    assert expected.std() > 1e-3
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=atol)


def test_batch_normalization_is_folded_away() -> None:
    """Nothing of it is left, padding included, and the answers stay."""
    network = network_of()
    found = fuse_batch_norm(network, size=SIZE)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in found.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    noise = torch.randn(3, 3, SIZE, SIZE)
    with torch.no_grad():
        torch.testing.assert_close(found(noise), network(noise), rtol=1e-4, atol=1e-4)


def test_the_checkpoints_temperature_counts() -> None:
    """Logits are divided by it, as the card says."""
    images = random_images(3)
    warm = CudaRuntime(
        network_of(),
        preprocess=PREPROCESS,
        classes=5,
        device="cpu",
        precision="float32",
        batch_size=BATCH,
        temperature=2.5,
    )
    logits = np.log(plain(images)) - np.log1p(-plain(images))
    np.testing.assert_allclose(
        warm.probabilities(images), 1 / (1 + np.exp(-logits / 2.5)), atol=1e-5
    )


class Branching(nn.Module):
    """Cannot be traced: what it does depends on the values."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))


def test_a_network_that_cannot_be_traced_stays_as_it_is() -> None:
    """No folding, no error."""
    network = Branching()
    assert fuse_batch_norm(network, size=SIZE) is network


def test_a_folding_that_changes_answers_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is made each time, and a wrong network is thrown away."""
    monkeypatch.setattr(fusing, "fuse", lambda network: nn.Sequential(network, nn.Tanh()))
    network = network_of()
    assert fuse_batch_norm(network, size=SIZE) is network


@pytest.fixture
def recorded() -> CudaRuntime:
    """A runtime on the CPU with a double of the graph: one static batch, replayed."""
    runtime = runtime_of()
    images, scores = random_images(BATCH, seed=99), torch.full((BATCH, 5), torch.nan)

    def replay() -> None:
        scores.copy_(runtime._run(images))

    runtime._captured = Captured(images, scores, replay)
    return runtime


@pytest.mark.parametrize("count", [1, 3, BATCH, BATCH + 1, 3 * BATCH])
def test_a_batch_of_any_size_has_its_own_rows(recorded: CudaRuntime, count: int) -> None:
    """Full, smaller, and larger than what was recorded: every row is its own image's."""
    for seed in range(3):
        images = random_images(count, seed=seed)
        found = recorded.probabilities(images)
        np.testing.assert_allclose(found, plain(images), atol=1e-5)


def test_results_outlive_the_batches_after_them(recorded: CudaRuntime) -> None:
    """Fetched late, the first batch's results are still its own."""
    batches = [random_images(count, seed=count) for count in (BATCH, 3, BATCH)]
    results = [recorded.submit(images) for images in batches]
    for images, fetch in zip(batches, results, strict=True):
        np.testing.assert_allclose(fetch(), plain(images), atol=1e-5)


def test_a_graph_that_cannot_be_had_is_done_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever stops the capture, there is one line and the layers are launched one by one."""

    def fails(step: object, images: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nand more")

    monkeypatch.setattr(cuda, "capture", fails)
    with caplog.at_level(logging.WARNING):
        assert runtime_of()._captured_or_none(BATCH) is None
    (record,) = caplog.records
    assert "no CUDA graph for 8 images (CUDA out of memory.)" in record.getMessage()


def test_float32_means_float32_and_leaves_the_setting_as_it_was() -> None:
    """TF32 is off inside a step and as before outside."""
    before = torch.backends.cudnn.conv.fp32_precision
    seen = []
    runtime = runtime_of()
    runtime._step = lambda images: seen.append(torch.backends.cudnn.conv.fp32_precision)
    runtime._run(random_images(1))
    assert seen == ["ieee"]
    assert torch.backends.cudnn.conv.fp32_precision == before


def test_pixels_of_another_kind_are_refused_and_none_are_no_rows() -> None:
    """As every runtime does."""
    runtime = runtime_of()
    assert runtime.probabilities(random_images(0)).shape == (0, 5)
    with pytest.raises(ValueError, match=r"takes uint8 \(N, 3, 64, 64\)"):
        runtime.probabilities(torch.zeros(2, 3, SIZE, SIZE))


@pytest.mark.gpu
@pytest.mark.parametrize("backbone", ["resnet18", "alexnet", "googlenet"])
@pytest.mark.parametrize(("precision", "atol"), [("float32", 1e-4), ("tf32", 5e-3), ("bf16", 0.02)])
def test_on_a_gpu_it_agrees_with_the_cpu(backbone: str, precision: str, atol: float) -> None:
    """From either memory, for full, odd and larger batches; float32 is float32."""
    runtime = runtime_of(backbone, device="cuda:0", precision=precision)
    assert runtime._captured is not None
    for count in (BATCH, 3, 2 * BATCH + 1):
        images = random_images(count, seed=count)
        expected = plain(images, backbone)
        np.testing.assert_allclose(runtime.probabilities(images), expected, atol=atol)
        np.testing.assert_allclose(runtime.probabilities(images.cuda()), expected, atol=atol)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_graph_gives_what_the_layers_give(precision: str) -> None:
    """Replayed and launched singly: the same kernels, the same numbers, for an odd batch too."""
    recorded = runtime_of(device="cuda:0", precision=precision)
    singly = runtime_of(device="cuda:0", precision=precision, graph=False)
    assert recorded._captured is not None
    assert singly._captured is None
    whole = random_images(BATCH).cuda()
    for count in (BATCH, 5):
        # singly on the full shape, because kernels cut their work by it
        expected = singly.probabilities(whole)[:count]
        np.testing.assert_allclose(recorded.probabilities(whole[:count]), expected, atol=1e-6)


@pytest.mark.gpu
def test_nothing_waits_for_the_gpu_before_the_results_are_fetched() -> None:
    """With synchronization forbidden, batches are submitted; each keeps its own rows."""
    runtime = runtime_of(device="cuda:0")
    batches = [random_images(BATCH - seed % 2, seed=seed) for seed in range(6)]
    on_gpu = [images.cuda() for images in batches]
    runtime.probabilities(on_gpu[0])
    torch.cuda.set_sync_debug_mode("error")
    try:
        results = [runtime.submit(images) for images in on_gpu]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for images, fetch in zip(batches, results, strict=True):
        np.testing.assert_allclose(fetch(), plain(images), atol=1e-4)


@pytest.mark.gpu
def test_images_may_be_overwritten_once_their_results_are_fetched() -> None:
    """A loader that uses its memory again changes no row of a batch that was fetched."""
    runtime = runtime_of(device="cuda:0")
    memory = torch.empty_like(random_images(BATCH)).cuda()
    for seed in range(5):
        images = random_images(BATCH, seed=seed)
        memory.copy_(images)
        found = runtime.submit(memory)()
        memory.zero_()
        np.testing.assert_allclose(found, plain(images), atol=1e-4)
