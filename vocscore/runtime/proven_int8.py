"""A quantized model is used only after it was shown to compute the right numbers on this machine.

In about one compilation of fifteen with OpenVINO 2026.4, and as often when a compiled model is read
from the cache, a quantized model of two streams computed wrong probabilities for every image, until
the process ended. Models that are not quantized, and those of one stream, never did. Likely cause:
OpenVINO caches the weights that streams share under the address of the memory they were made from,
and in a quantized model that memory may be freed, and used for another layer, between two streams.

So a quantized model is compiled for one stream, as many times as there are streams. And because
nothing promises that one stream stays right, each of them has to give, on fixed synthetic images,
the outputs of a separate compilation. These are cached beside the compiled model.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import DeviceError
from vocscore.runtime.openvino import compile_model, dump, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vocscore.runtime.openvino import Shape

FORMAT = 1
"""Of the bytes of `dump_proven`: raise it, and cached models are compiled again."""
ATTEMPTS = 3
"""Compilations before a model is refused."""
TOLERANCE = 1e-3
"""Largest difference of an output, relative to the largest output. Right models give the same
bits; the outputs of wrong ones differed by 0.6 and more."""
_LENGTH = struct.Struct("<Q")
_BLOCKS = (1, 4, 16, 56)
"""Sides of the squares of one color in the synthetic images, pixels: noise, and large areas."""


@dataclass(frozen=True, slots=True)
class ProvenModel:
    """A quantized model whose outputs were compared with those of a separate compilation.

    Attributes:
        streams: compiled models of one stream each, uint8 (group, S, S, 3) -> float32 (group, F).
        blob: the bytes that they were restored from.
        reference: what each of them computes from `synthetic_images`, float32 (group, F).
    """

    streams: tuple[Any, ...]
    blob: bytes
    reference: NDArray[np.float32]


class _MismatchError(RuntimeError):
    """A stream computes other outputs than the reference."""


def compile_proven(graph: Any, *, shape: Shape) -> ProvenModel:
    """Compile a quantized graph, again if the result is not right.

    The streams are restored from the bytes that the cache gets, so these are checked too.

    Args:
        graph: an `openvino.Model`, uint8 (group, S, S, 3) -> float32 (group, F).
        shape: that it is compiled for.

    Raises:
        DeviceError: the outputs differed each time.
    """
    images = synthetic_images(shape)
    for _ in range(ATTEMPTS):
        compiled = compile_model(graph, shape=shape.one_stream)
        (reference,) = _outputs([compiled], images)
        try:
            return _restored(dump(compiled), reference, images, shape=shape)
        except _MismatchError:
            continue
    raise DeviceError(
        f"OpenVINO compiled the int8 model {ATTEMPTS} times, and each time two copies of it "
        "computed different numbers from the same images. Use `precision='bf16'` or "
        "`precision='float32'`."
    )


def dump_proven(model: ProvenModel) -> bytes:
    """Serialize a model and its reference for `load_proven`."""
    reference = np.ascontiguousarray(model.reference, "<f4").tobytes()
    return _LENGTH.pack(len(reference)) + reference + model.blob


def load_proven(data: bytes, *, shape: Shape) -> ProvenModel:
    """Restore a model from the bytes of `dump_proven`, and check each stream.

    Raises:
        RuntimeError: it was made by another OpenVINO or for another processor, or a stream does
            not compute the outputs that are cached with it.
    """
    start = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    reference = np.frombuffer(data[_LENGTH.size : start], "<f4").reshape(shape.group, -1)
    return _restored(data[start:], reference, synthetic_images(shape), shape=shape)


def synthetic_images(shape: Shape) -> NDArray[np.uint8]:
    """Make the images of the check, always the same: uint8 (group, S, S, 3)."""
    random = np.random.default_rng(0)
    made = np.empty((shape.group, shape.size, shape.size, 3), np.uint8)
    for row, image in enumerate(made):
        block = _BLOCKS[row % len(_BLOCKS)]
        side = -(-shape.size // block)
        squares = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
        large = squares.repeat(block, axis=0).repeat(block, axis=1)
        image[:] = large[: shape.size, : shape.size]
    return made


def _restored(
    blob: bytes, reference: NDArray[np.float32], images: NDArray[np.uint8], *, shape: Shape
) -> ProvenModel:
    """Restore every stream; a `_MismatchError` if one of them is wrong."""
    streams = tuple(load(blob, shape=shape.one_stream) for _ in range(shape.streams))
    for number, found in enumerate(_outputs(streams, images)):
        if not _agree(found, reference):
            raise _MismatchError(f"stream {number} of {shape.streams}")
    return ProvenModel(streams, blob, reference)


def _agree(found: NDArray[np.float32], reference: NDArray[np.float32]) -> bool:
    if found.shape != reference.shape:
        return False
    largest = float(np.abs(reference).max(initial=0.0))
    return bool(np.all(np.abs(found - reference) <= TOLERANCE * largest))  # False for NaN


def _outputs(streams: Sequence[Any], images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Run the images on all streams at the same time."""
    import openvino

    requests = [stream.create_infer_request() for stream in streams]
    for request in requests:
        request.set_input_tensor(openvino.Tensor(images, shared_memory=True))
        request.start_async()
    found = []
    for request in requests:
        request.wait()
        found.append(request.get_output_tensor().data.copy())
    return found
