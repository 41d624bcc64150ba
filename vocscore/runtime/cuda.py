"""The network on an NVIDIA GPU: one CUDA graph for the full batch, and no waiting in the loop.

Pixels arrive as uint8 and are normalized by one kernel that reads them, computes in float32 and
writes the network's own type, channels-last. Mean and standard deviation are not folded into the
first convolution: its zero padding stands for a normalized 0, which no pixel value is.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn

from vocscore.pipeline.devices import on_device
from vocscore.runtime import Runtime, check_images
from vocscore.runtime.folding import folded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vocscore.models.network import Network
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.runtime import Results

_WARM_UP = 3
"""Steps before the capture: cuDNN and cuBLAS choose their kernels and take their workspaces.
Source: torch's notes on CUDA semantics, 'CUDA Graphs'."""

_log = logging.getLogger(__name__)


class Step(nn.Module):
    """uint8 pixels -> probabilities, on whatever device it is on.

    Args:
        network: in evaluation mode; taken over.
        preprocess: says how pixels become the network's input.
        dtype: the network's: float32 or bfloat16.
        temperature: that logits are divided by.
    """

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess,
        *,
        dtype: torch.dtype,
        temperature: float = 1.0,
    ) -> None:
        """Keep the network in its type, channels-last."""
        super().__init__()
        self.network = network.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        scale = 1 / (255 * torch.tensor(preprocess.std, dtype=torch.float64))
        shift = -255 * torch.tensor(preprocess.mean, dtype=torch.float64) * scale
        self.register_buffer("scale", scale.float().view(1, 3, 1, 1))
        self.register_buffer("shift", shift.float().view(1, 3, 1, 1))
        self._dtype = dtype
        self._temperature = temperature

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, 3, S, S), channels-last -> float32 (N, C), 0 to 1."""
        logits: torch.Tensor = self.network(self.normalized(images))
        return (logits.float() / self._temperature).sigmoid()

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
    """A step on a batch of one shape, recorded.

    Attributes:
        images: uint8, (N, 3, S, S), channels-last: what the next replay reads.
        scores: float32, (N, C): what the last replay wrote.
        replay: does it, in the order of the current stream.
    """

    images: torch.Tensor
    scores: torch.Tensor
    replay: Callable[[], None]


class CudaRuntime(Runtime):
    """A `Runtime` on a GPU.

    Args:
        network: taken over.
        preprocess: the checkpoint's.
        classes: columns of probabilities.
        device: 'cuda:N'. On 'cpu' the same code runs without a graph, which the tests use.
        precision: 'float32', exact but for the order of its sums; 'tf32', the same with products
            rounded to 10 bits; or 'bf16'.
        batch_size: images of a full batch. Smaller ones are filled up to it; larger ones are
            run as they come, without the graph.
        temperature: the checkpoint's.
        graph: capture the full batch in a CUDA graph.
        compiled: a mode of `torch.compile`, which takes tens of seconds; None does not compile.
    """

    def __init__(
        self,
        network: Network,
        *,
        preprocess: Preprocess,
        classes: int,
        device: str,
        precision: str,
        batch_size: int,
        temperature: float = 1.0,
        graph: bool = True,
        compiled: str | None = None,
    ) -> None:
        """Move the network to the device and record its step."""
        self._device = torch.device(device)
        self._classes = classes
        self._size = preprocess.size
        self._exact = precision != "tf32"
        # Folded in float32, before the weights are rounded.
        network_folded = folded(network.eval(), size=preprocess.size)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        step = Step(network_folded, preprocess, dtype=dtype, temperature=temperature)
        step = step.to(self._device)
        self._step: Callable[[torch.Tensor], torch.Tensor] = step
        if compiled is not None:
            self._step = torch.compile(step, mode=compiled)
        self._captured: Captured | None = None
        if graph and self._device.type == "cuda":
            self._captured = self._captured_or_none(batch_size)

    @property
    def has_graph(self) -> bool:
        """Whether the full batch is recorded."""
        return self._captured is not None

    @torch.inference_mode()
    def submit(self, images: torch.Tensor) -> Results:
        """Queue a batch on the GPU; see `Runtime.submit`.

        Everything stands in the order of the current stream, which is the one that DALI's batches
        are bound to; only the returned call waits.
        """
        check_images(images, size=self._size)
        if len(images) == 0:  # not every layer takes an empty batch
            none = np.empty((0, self._classes), dtype=np.float32)
            return lambda: none
        with on_device(self._device):
            if images.device.type == "cpu" and self._device.type == "cuda":
                images = images.pin_memory()  # or the copy would hold the host up
            return fetched_later(self._scores(images), images)

    def _scores(self, images: torch.Tensor) -> torch.Tensor:
        """Float32 (N, C) on the device; to be read before the next batch is submitted."""
        captured, count = self._captured, len(images)
        if captured is None or count > len(captured.images):
            images = images.to(self._device, non_blocking=True)
            return self._run(images.contiguous(memory_format=torch.channels_last))
        # What lies behind the last image are images of a batch before; nothing reads them.
        captured.images[:count].copy_(images, non_blocking=True)
        captured.replay()
        return captured.scores[:count]

    def _run(self, images: torch.Tensor) -> torch.Tensor:
        with _convolutions(exact=self._exact):
            return self._step(images)

    def _captured_or_none(self, batch_size: int) -> Captured | None:
        shape = (batch_size, 3, self._size, self._size)
        try:
            with on_device(self._device), torch.inference_mode():
                blank = torch.zeros(shape, dtype=torch.uint8, device=self._device)
                return capture(self._run, blank.contiguous(memory_format=torch.channels_last))
        except RuntimeError as error:  # not every layer can be captured, not all memory suffices
            # of a capture that fails at its end, torch tells that something failed before
            why = str(error.__context__ or error).partition("\n")[0]
        _log.warning(
            "no CUDA graph of %d images (%s); the layers are launched singly", batch_size, why
        )
        torch.cuda.empty_cache()
        return None


def capture(step: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> Captured:
    """Record a step on a batch; after torch's notes on CUDA semantics, 'CUDA Graphs'.

    Args:
        step: allocates on the current stream and does not wait for it.
        images: on the current CUDA device; later batches are put here.

    Raises:
        RuntimeError: the step cannot be recorded, or the memory does not suffice.
    """
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP):
            step(images)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # 'thread_local': threads that decode may allocate meanwhile; it is this one that must not.
    # The outer stream is put back even where the end of the capture fails.
    with (
        torch.cuda.stream(torch.cuda.current_stream()),
        torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"),
    ):
        scores = step(images)
    return Captured(images, scores, graph.replay)


def fetched_later(scores: torch.Tensor, images: torch.Tensor) -> Results:
    """Queue the copy of a batch's results to main memory; the returned call waits for it alone.

    Args:
        scores: float32, on the current device, or in main memory.
        images: what they were made of: kept until they are fetched.
    """
    if scores.device.type == "cpu":
        found = scores.clone().numpy()
        return lambda: found
    host = torch.empty(scores.shape, dtype=scores.dtype, pin_memory=True)
    host.copy_(scores, non_blocking=True)
    # blocking: the thread sleeps; one that spins would take a core from decoding
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    event.record()
    kept: list[Any] = [images]  # their memory may be another library's

    def fetch() -> np.ndarray[Any, np.dtype[np.float32]]:
        event.synchronize()
        kept.clear()
        return host.numpy()

    return fetch


@contextmanager
def _convolutions(*, exact: bool) -> Iterator[None]:
    """Let cuDNN compute float32 convolutions in float32, and not in TF32 as it does by default."""
    conv = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = conv.fp32_precision
    conv.fp32_precision = "ieee" if exact else "tf32"
    try:
        yield
    finally:
        conv.fp32_precision = before
