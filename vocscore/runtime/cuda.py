"""The network on an NVIDIA GPU: one CUDA graph for the full batch, and no synchronization.

Pixels arrive as uint8 and are normalized by one kernel that reads them, computes in float32 and
writes the network's type, channels-last. Mean and standard deviation are not fused into the first
convolution: its zero padding is a 0 after normalization, which is not a pixel value of 0.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn

from vocscore.models.probabilities import probabilities
from vocscore.pipeline.devices import is_gpu, on_device
from vocscore.runtime.base import Runtime, check_images
from vocscore.runtime.fuse_batch_norm import fuse_batch_norm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vocscore.device import Device
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.runtime.base import Results

_WARM_UP = 3
"""Steps before the capture: cuDNN and cuBLAS choose kernels and allocate workspaces.
Source: torch's notes on CUDA semantics, 'CUDA Graphs'."""

_log = logging.getLogger(__name__)


class Step(nn.Module):
    """uint8 pixels -> probabilities, on the device of the module.

    Args:
        network: in evaluation mode; modified in place. After the logits it may return features.
        preprocess: the checkpoint's preprocessing.
        dtype: type of the network: float32 or bfloat16.
        temperature: the checkpoint's temperature; None: the logits stay.
        activation: the checkpoint's activation.
        classes: number of logits; None: all columns are.
    """

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess,
        *,
        dtype: torch.dtype,
        temperature: float | None = 1.0,
        classes: int | None = None,
        activation: str = "sigmoid",
    ) -> None:
        """Convert the network to `dtype`, channels-last."""
        super().__init__()
        self.network = network.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        scale = 1 / (255 * torch.tensor(preprocess.std, dtype=torch.float64))
        shift = -255 * torch.tensor(preprocess.mean, dtype=torch.float64) * scale
        self.register_buffer("scale", scale.float().view(1, 3, 1, 1))
        self.register_buffer("shift", shift.float().view(1, 3, 1, 1))
        self._dtype = dtype
        self._temperature = temperature
        self._activation = activation
        self._classes = classes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, 3, S, S), channels-last -> float32 (N, C), 0 to 1; or (N, C + F)."""
        outputs: torch.Tensor = self.network(self.normalized(images))
        if self._temperature is None:
            return outputs.float()
        if self._classes in (None, outputs.shape[1]):
            return probabilities(outputs, self._temperature, self._activation)
        # contiguous, as without features: torch has other kernels for other strides
        logits = outputs[:, : self._classes].contiguous()
        scores = probabilities(logits, self._temperature, self._activation)
        return torch.cat([scores, outputs[:, self._classes :].float()], dim=1)

    def normalized(self, images: torch.Tensor) -> torch.Tensor:
        """(pixel / 255 - mean) / std: computed in float32, rounded once."""
        pixels = torch.empty(
            images.shape,
            dtype=self._dtype,
            device=images.device,
            memory_format=torch.channels_last,
        )
        return torch.addcmul(cast("torch.Tensor", self.shift), images, self.scale, out=pixels)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Captured:
    """A step on a batch of one shape, recorded as a CUDA graph.

    Attributes:
        images: uint8, (N, 3, S, S), channels-last: the input of the next replay.
        scores: float32, (N, C): the output of the last replay.
        replay: runs the step, in the order of the current stream.
    """

    images: torch.Tensor
    scores: torch.Tensor
    replay: Callable[[], None]


class CudaRuntime(Runtime):
    """A `Runtime` on a GPU.

    Args:
        network: modified in place.
        preprocess: the checkpoint's preprocessing.
        classes: number of columns of probabilities.
        device: a GPU, or its name. On the CPU the same code runs without a graph, for the tests.
        precision: 'float32', exact except for the order of sums; 'tf32', the same with products
            rounded to 10 bits; or 'bf16'.
        batch_size: images in a full batch. Smaller batches are padded to it; larger ones are run
            without the graph.
        temperature: the checkpoint's temperature; None: the results are logits.
        activation: the checkpoint's activation.
        features: whether the network returns features after the logits.
        graph: capture the full batch in a CUDA graph.
        compiled: a mode of `torch.compile`, which takes tens of seconds; None: do not compile.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        preprocess: Preprocess,
        classes: int,
        device: Device | str,
        precision: str,
        batch_size: int,
        temperature: float | None = 1.0,
        features: bool = False,
        activation: str = "sigmoid",
        graph: bool = True,
        compiled: str | None = None,
    ) -> None:
        """Move the network to the device and capture its step."""
        self._device = torch.device(str(device))
        self._size = preprocess.size
        self._exact = precision != "tf32"
        # Fused in float32, before the weights are rounded.
        fused = fuse_batch_norm(network.eval(), size=preprocess.size)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.features = _width(fused, size=self._size) - classes if features else 0
        self._columns = classes + self.features
        step = Step(
            fused,
            preprocess,
            dtype=dtype,
            temperature=temperature,
            activation=activation,
            classes=classes,
        )
        step = step.to(self._device)
        self._step: Callable[[torch.Tensor], torch.Tensor] = step
        if compiled is not None:
            self._step = torch.compile(step, mode=compiled)
        self._captured: Captured | None = None
        if graph and is_gpu(self._device):
            self._captured = self._captured_or_none(batch_size)

    @property
    def has_graph(self) -> bool:
        """Whether the full batch is captured in a CUDA graph."""
        return self._captured is not None

    @torch.inference_mode()
    def submit(self, images: torch.Tensor) -> Results:
        """Queue a batch on the GPU; see `Runtime.submit`.

        All work is queued on the current stream, to which DALI's batches are bound; only the
        returned function waits.
        """
        check_images(images, size=self._size)
        if len(images) == 0:  # not every layer accepts an empty batch
            none = np.empty((0, self._columns), dtype=np.float32)
            return lambda: none
        with on_device(self._device):
            if images.is_cpu and is_gpu(self._device):
                images = images.pin_memory()  # otherwise the copy would block the host
            return fetched_later(self._scores(images), images)

    def _scores(self, images: torch.Tensor) -> torch.Tensor:
        """Float32 (N, C) on the device; must be read before the next batch is submitted."""
        captured, count = self._captured, len(images)
        if captured is None or count > len(captured.images):
            images = images.to(self._device, non_blocking=True)
            return self._run(images.contiguous(memory_format=torch.channels_last))
        # After the last image are images of an earlier batch, whose scores are not used.
        captured.images[:count].copy_(images, non_blocking=True)
        captured.replay()
        return captured.scores[:count]

    def _run(self, images: torch.Tensor) -> torch.Tensor:
        with convolutions(exact=self._exact):
            return self._step(images)

    def _captured_or_none(self, batch_size: int) -> Captured | None:
        shape = (batch_size, 3, self._size, self._size)
        try:
            with on_device(self._device), torch.inference_mode():
                blank = torch.zeros(shape, dtype=torch.uint8, device=self._device)
                return capture(self._run, blank.contiguous(memory_format=torch.channels_last))
        except RuntimeError as error:  # a layer cannot be captured, or memory is short
            # if a capture fails at its end, torch only says that something failed before
            why = str(error.__context__ or error).partition("\n")[0]
        _log.warning(
            "no CUDA graph for %d images (%s); kernels are launched one by one", batch_size, why
        )
        torch.cuda.empty_cache()
        return None


@torch.inference_mode()
def _width(network: nn.Module, *, size: int) -> int:
    """Return the number of columns that a network on the CPU returns."""
    outputs: torch.Tensor = network(torch.zeros(1, 3, size, size))
    return outputs.shape[1]


def capture(step: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> Captured:
    """Record a step on a batch; after torch's notes on CUDA semantics, 'CUDA Graphs'.

    Args:
        step: allocates on the current stream and does not wait for it.
        images: on the current CUDA device; later batches are copied here.

    Raises:
        RuntimeError: the step cannot be recorded, or memory is short.
    """
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP):
            step(images)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # 'thread_local': decoding threads may allocate meanwhile; only this one must not.
    # The outer stream is restored even if the end of the capture fails.
    with (
        torch.cuda.stream(torch.cuda.current_stream()),
        torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"),
    ):
        scores = step(images)
    return Captured(images, scores, graph.replay)


def fetched_later(scores: torch.Tensor, images: torch.Tensor) -> Results:
    """Queue the copy of a batch's results to main memory; the returned function waits for it.

    Args:
        scores: float32, on the current device, or in main memory.
        images: their input, kept alive until they are fetched.
    """
    if scores.is_cpu:
        found = scores.clone().numpy()
        return lambda: found
    host = torch.empty(scores.shape, dtype=scores.dtype, pin_memory=True)
    host.copy_(scores, non_blocking=True)
    # blocking: the thread sleeps; a spinning one would take a core from decoding
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    event.record()
    kept: list[Any] = [images]  # their memory may be managed by another library

    def fetch() -> np.ndarray[Any, np.dtype[np.float32]]:
        event.synchronize()
        kept.clear()
        return host.numpy()

    return fetch


@contextmanager
def convolutions(*, exact: bool) -> Iterator[None]:
    """Let cuDNN compute float32 convolutions in float32; its default is TF32."""
    conv = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = conv.fp32_precision
    conv.fp32_precision = "ieee" if exact else "tf32"
    try:
        yield
    finally:
        conv.fp32_precision = before
