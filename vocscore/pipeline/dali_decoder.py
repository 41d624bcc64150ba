"""Wraps DALI's graph in a queue that survives it: no batch is lost when the graph fails."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import torch
from torch.utils.dlpack import from_dlpack

from vocscore.errors import DeviceError
from vocscore.pipeline.devices import is_gpu, on_device

if TYPE_CHECKING:
    from collections.abc import Callable

    Inputs = dict[str, list[np.ndarray[Any, Any]]]

INPUT: Final = "jpegs"
"""The name of the graph's input."""
STARTS: Final = "starts"
"""Input of a graph that crops: each image's first row and column, int32, shape (2,)."""
SHAPES: Final = "shapes"
"""Input of a graph that crops: each image's number of rows and columns, int32, shape (2,)."""
SIZES: Final = "sizes"
"""Input of a graph that keeps the aspect ratio: rows and columns of each resized image, float32,
shape (2,)."""
SQUARES: Final = "squares"
"""Input of a graph that keeps the aspect ratio: first row and column of the square in each resized
image, which may be negative, int32, shape (2,)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tuning:
    """Settings that affect DALI's speed, but no pixel.

    The values are from DALI's documentation and not measured yet.

    Attributes:
        hw_decoder_load: share of the JPEGs, 0 to 1, for the GPU's hardware JPEG decoders, if it has
            any (A100, H100, H200); CPU cores and the GPU's ordinary units decode the others.
        in_flight: batches that DALI has decoded or is decoding while the consumer uses the one
            before them.
        affine: pin each of DALI's threads to a core, which is DALI's default. Here the threads
            that read and check share these cores, and the threads of another worker would be pinned
            to the same ones.
    """

    hw_decoder_load: float = 0.65
    in_flight: int = 2
    affine: bool = False


DEFAULT_TUNING = Tuning()


class Graph(Protocol):
    """The used part of `nvidia.dali.Pipeline`: encoded JPEGs in, uint8 (N, size, size, 3) out."""

    def feed_input(self, name: str, data: list[np.ndarray[Any, Any]]) -> None:
        """Feed a batch of encoded images, without copying them, or of their boxes."""

    def schedule_run(self) -> None:
        """Start decoding the oldest batch fed."""

    def outputs(self, cuda_stream: object = None) -> tuple[Any, ...]:
        """Wait for the oldest batch started."""


class Decoder:
    """DALI's graph with a queue that survives it.

    `collect` returns the batches in the order of `submit`. When DALI fails, the oldest batch is
    returned as None, the graph is rebuilt, and the batches after it are submitted again.

    The graph is built for the first JPEG: on a GPU it takes a second and much memory, and a source
    of other images needs none.

    Args:
        build: builds a graph; raises RuntimeError if it cannot be built on the device.
        device: device of the graph's output.
    """

    def __init__(self, build: Callable[[], Graph], *, device: torch.device) -> None:
        self._build = build
        self._device = device
        self._queue: deque[tuple[list[bytes], Inputs]] = deque()
        # Bytes that a GPU may still be reading, with the events after which it no longer does.
        self._lent: deque[tuple[torch.cuda.Event, list[bytes]]] = deque()
        self._failure: RuntimeError | None = None
        self._graph: Graph | None = None

    def submit(self, data: list[bytes], inputs: Inputs | None = None) -> None:
        """Start decoding a batch of JPEGs, which may be empty.

        Args:
            data: whole files.
            inputs: the graph's other inputs, by name, with a value for each file.

        Raises:
            DeviceError: the graph cannot be built.
        """
        self._queue.append((data, inputs or {}))
        self._feed(*self._queue[-1])

    def collect(self) -> torch.Tensor | None:
        """Wait for the oldest batch.

        Returns:
            uint8, shape (N, 3, size, size), channels-last, on the device, not yet turned upright;
            None if there was nothing to decode or DALI failed.
        """
        data, _ = self._queue[0]
        if not data:
            self._queue.popleft()
            return None
        try:
            if self._failure is not None:
                raise self._failure
            images = self._outputs()
        except RuntimeError as error:
            self._queue.popleft()
            _log.warning(
                "DALI could not decode a batch; its %d images are decoded on the CPU (%s)",
                len(data),
                _cause(error),
            )
            self._start_again()
            return None
        self._queue.popleft()
        return images

    def _feed(self, data: list[bytes], inputs: Inputs) -> None:
        if not data or self._failure is not None:
            return
        if self._graph is None:
            self._graph = self._built()
        try:
            self._graph.feed_input(INPUT, [np.frombuffer(one, np.uint8) for one in data])
            for name, values in inputs.items():
                self._graph.feed_input(name, values)
            self._graph.schedule_run()
        except RuntimeError as error:
            self._failure = error

    def _outputs(self) -> torch.Tensor:
        assert self._graph is not None  # the batch was fed to it
        if not is_gpu(self._device):
            (images,) = self._graph.outputs()
            return from_dlpack(images.as_tensor()).permute(0, 3, 1, 2)
        # Bound to torch's stream, so that the host does not wait. DALI reclaims the memory of a
        # freed tensor in a separate thread, after the GPU has finished all its work
        # (`DLTensorGraveyard`), so no CUDA graph may be captured while batches are in use.
        with on_device(self._device):
            stream = torch.cuda.current_stream()
            (images,) = self._graph.outputs(cuda_stream=stream)
            tensor = from_dlpack(images.as_tensor())
            self._lent.append((stream.record_event(), self._queue[0][0]))
        while self._lent and self._lent[0][0].query():  # type: ignore[no-untyped-call]
            self._lent.popleft()
        return tensor.permute(0, 3, 1, 2)

    def _start_again(self) -> None:
        self._failure = None
        self._graph = None  # frees its memory before the next one is built
        for data, inputs in self._queue:
            self._feed(data, inputs)

    def _built(self) -> Graph:
        try:
            return self._build()
        except RuntimeError as error:
            raise DeviceError(
                f"DALI cannot start on {self._device} ({_cause(error)}). "
                "Choose another device, or `loader='host'`."
            ) from error


def _cause(error: BaseException) -> str:
    """Pick the informative line of DALI's long message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Critical error", "Error in"))]
    return (telling or lines or [type(error).__name__])[0]
