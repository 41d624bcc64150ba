"""Runs networks on a CPU with OpenVINO: batches of a fixed shape, several at a time.

Each batch is computed by one thread (on machines with many cores: by a few), and as many batches
are in progress as there are streams. A single thread never waits for another one, and its results
do not depend on the number of cores.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import DeviceError
from vocscore.runtime.base import Runtime, check_images

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from vocscore.device import Precision
    from vocscore.runtime.base import Results
    from vocscore.runtime.finishing import Finish

MOST_STREAMS = 8
"""With more, too many streams would be idle at the end of each unit of work; on machines with more
cores, each stream gets several threads instead."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The parameters for which a model is compiled; each shape needs its own compiled model.

    Attributes:
        group: images per batch.
        size: height and width of an image, pixels.
        precision: arithmetic between input and output.
        streams: batches computed at the same time.
        threads: number of threads of all streams together.
    """

    group: int
    size: int
    precision: Precision
    streams: int
    threads: int

    @property
    def one_stream(self) -> Shape:
        """The same for each stream alone, with its share of the threads."""
        return replace(self, streams=1, threads=self.threads // self.streams)

    @property
    def hints(self) -> dict[str, str]:
        """Settings of the CPU plugin."""
        return {
            # in a quantized model, for the other layers; without the hint the plugin chooses
            "INFERENCE_PRECISION_HINT": "f32" if self.precision == "float32" else "bf16",
            "NUM_STREAMS": str(self.streams),
            "INFERENCE_NUM_THREADS": str(self.threads),
            # decoding threads share the cores, and the scheduler knows which core is free
            "ENABLE_CPU_PINNING": "NO",
        }


def shape_for(*, group: int, size: int, precision: Precision, cores: int) -> Shape:
    """Divide the cores among streams: one each, or several on machines with many cores."""
    streams = min(cores, MOST_STREAMS)
    return Shape(group, size, precision, streams, threads=cores - cores % streams)


GRAPH = 2
"""Version of the graphs that `convert` makes; increase it to invalidate cached models."""


@cache
def core() -> Any:
    """Return the single `openvino.Core` of the process, which is never freed.

    Each `openvino.Core` sets a stack for the signal handlers of its thread, because the registers
    of a processor with AMX do not fit on the default stack. With two of them, freeing the second
    restores the stack of the first, which may already be freed: the next signal (the end of a child
    process, Ctrl-C) then causes a segmentation fault.

    Raises:
        DeviceError: OpenVINO is not installed, or its installation is broken.
    """
    try:
        import openvino

        made = openvino.Core()
        made.get_property("CPU", "FULL_DEVICE_NAME")  # loads the plugin
    except Exception as error:  # a broken installation may raise anything
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DeviceError(
            f"OpenVINO, which runs networks on the CPU, cannot be loaded "
            f"({lines[-1].strip().rstrip('.')}). "
            "Install it: pip install --upgrade --force-reinstall openvino"
        ) from error
    return made


def has_bf16() -> bool:
    """Whether the processor has bf16 instructions; without them it is slower than float32."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def compile_model(model: Any, *, shape: Shape) -> Any:
    """Compile a graph for this CPU."""
    return core().compile_model(model, "CPU", shape.hints)


def dump(compiled: Any) -> bytes:
    """Serialize a compiled model for `load`, on the same kind of machine."""
    blob: Any = compiled.export_model()
    return blob if isinstance(blob, bytes) else bytes(blob.getvalue())


def load(blob: bytes, *, shape: Shape) -> Any:
    """Restore a compiled model from the bytes of `dump`.

    Raises:
        RuntimeError: it was made by another OpenVINO or for another processor.
    """
    return core().import_model(blob, "CPU", shape.hints)


def read_model(file: Path, *, shape: Shape) -> Any:
    """Read a graph in OpenVINO's format (.xml beside .bin), and set the batch size."""
    model = core().read_model(file)
    model.reshape([shape.group, shape.size, shape.size, 3])
    return model


class OpenVinoRuntime(Runtime):
    """A `Runtime` of a compiled model.

    Args:
        compiled: uint8 (group, S, S, 3) -> float32 (group, F); several outputs are put side by
            side. Or several models that compute the same: they get the groups in turn.
        shape: that it was compiled for; of several together.
        finish: applied to the output of a batch, (n, F); None leaves it unchanged.
        features: columns of features after the probabilities.
    """

    def __init__(
        self,
        compiled: Any | tuple[Any, ...],
        *,
        shape: Shape,
        finish: Finish | None = None,
        features: int = 0,
    ) -> None:
        """Create the inference requests, as many as are in progress at a time.

        Not when they are needed: OpenVINO would not create one before a stream is idle, and
        meanwhile no other stream would get a batch.
        """
        self._shape = shape
        self._finish = finish
        self.features = features
        self.at_once = shape.streams
        models = compiled if isinstance(compiled, tuple) else (compiled,)
        # Streams of one model take the next batch when they are free. Several models get theirs
        # in advance, so each of them needs one more, or it would wait for the slower ones.
        self.in_flight = shape.streams + len(models)
        each = range(-(-self.in_flight // len(models)))
        free = [(model, [model.create_infer_request() for _ in each]) for model in models]
        self._turns = itertools.cycle(free)
        self._columns = sum(int(output.shape[1]) for output in models[0].outputs)

    def submit(self, images: torch.Tensor) -> Results:
        """Start computing a batch; see `Runtime.submit`. A smaller one is padded with zeros."""
        check_images(images, size=self._shape.size)
        at = range(0, len(images), self._shape.group)
        parts = [self._start(images[start : start + self._shape.group]) for start in at]
        empty = np.empty((0, self._columns), dtype=np.float32)

        def results() -> NDArray[np.float32]:
            outputs = np.concatenate([empty, *(part() for part in parts)])
            return outputs if self._finish is None else self._finish(outputs)

        return results

    def _start(self, images: torch.Tensor) -> Results:
        """Start computing up to one group."""
        import openvino

        pixels = self._filled(images).permute(0, 2, 3, 1).contiguous().numpy()
        model, free = next(self._turns)
        request = free.pop() if free else model.create_infer_request()
        request.set_input_tensor(openvino.Tensor(pixels, shared_memory=True))
        request.start_async()
        return partial(self._fetch, request, free, pixels, len(images))

    @staticmethod
    def _fetch(
        request: Any, free: list[Any], _pixels: NDArray[np.uint8], number: int
    ) -> NDArray[np.float32]:
        """Wait for a group; until then its pixels, which the request only borrows, stay alive."""
        request.wait()
        found = [tensor.data[:number] for tensor in request.output_tensors]
        output: NDArray[np.float32] = np.concatenate(found, axis=1)  # a copy, also of one
        free.append(request)
        return output

    def _filled(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) == self._shape.group:
            return images
        blank = images.new_zeros((self._shape.group, *images.shape[1:]))
        blank[: len(images)] = images
        return blank
