"""The DALI maker: one graph from `Preprocess`, on GPU (`mixed` decoding) and on CPU.

Strict fast path, tolerant slow path. Only JPEGs in the usual colours that libjpeg-turbo finds
whole enter the graph: DALI decodes a damaged one to wrong pixels without a word, and ends at the
first that it cannot decode. Everything else (PNG, WebP, CMYK, ...), most of which DALI decodes on
the CPU as well, goes through the host path in the same threads that read and check.
"""

from __future__ import annotations

from collections import deque
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import torch

from shards.errors import BadPicture
from shards.pictures import jpeg, picture
from vocscore.errors import DeviceError
from vocscore.pipeline import host, plan
from vocscore.pipeline.batch import Failure, Maker
from vocscore.pipeline.crew import Crew
from vocscore.pipeline.decoder import INPUT, Decoder

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shards.sample import PictureRef
    from vocscore.pipeline.batch import Batch
    from vocscore.pipeline.decoder import Graph
    from vocscore.pipeline.preprocess import Preprocess

# Batches that DALI holds, decoded or being decoded, while the consumer uses the one before them.
_IN_FLIGHT = 2


class DaliMissingError(DeviceError):
    """DALI is not installed."""


@dataclass(frozen=True, slots=True)
class _Jpeg:
    """A whole JPEG on its way into the graph."""

    data: bytes
    orientation: int


_Prepared = _Jpeg | torch.Tensor | Failure
"""A row after reading: for the graph, already decoded (uint8, (3, size, size)), or bad."""


class DaliMaker(Maker):
    """Makes batches with DALI.

    Args:
        preprocess: what is done to each picture.
        batch_size: rows a batch.
        threads: pictures read and checked at the same time; DALI decodes with as many again.
        device: 'cpu', 'cuda' or 'cuda:N'.
        max_pixels: as for `picture.decode`.

    Raises:
        DaliMissingError: DALI is not installed.
        DeviceError: the graph cannot be built on the device.
    """

    def __init__(
        self,
        preprocess: Preprocess,
        *,
        batch_size: int,
        threads: int,
        device: str,
        max_pixels: int,
    ) -> None:
        """Build the graph and start the threads."""
        self._preprocess = preprocess
        self._batch_size = batch_size
        self._max_pixels = max_pixels
        wanted = torch.device(device)
        self._device = torch.device("cuda", wanted.index or 0) if wanted.type == "cuda" else wanted
        self._threads = threads
        self._idle = [self._decoder()]
        self._crew = Crew(threads)

    def batches(
        self,
        pictures: Sequence[PictureRef],
        *,
        labels: NDArray[np.int8] | None = None,
        order: Sequence[int] | None = None,
    ) -> Iterator[Batch]:
        """Decode every picture once; see `Maker.batches`.

        Raises:
            RuntimeError: something other than a bad picture went wrong; names the picture.
        """
        jobs = plan.split(len(pictures), batch_size=self._batch_size, labels=labels, order=order)

        def work(rows: NDArray[np.int64], position: int) -> _Prepared:
            row = int(rows[position])
            return self._prepare(pictures[row], row)

        return self._decoded(self._crew.ahead(jobs, work=work), labels)

    def _prepare(self, ref: PictureRef, row: int) -> _Prepared:
        with plan.naming(ref):
            try:
                data = picture.read_bytes(ref)
                if _is_for_dali(data, self._max_pixels):
                    jpeg.check(data)
                    upright = self._preprocess.upright
                    return _Jpeg(data, jpeg.orientation(data) if upright else 1)
                return self._on_host(data)
            except BadPicture as bad:
                return Failure(row, bad.reason, bad.detail)

    def _on_host(self, data: bytes) -> torch.Tensor:
        pixels = picture.decode(data, upright=self._preprocess.upright, max_pixels=self._max_pixels)
        image = plan.empty_images(1, self._preprocess.size)[0]
        host.fit(pixels, out=image)
        return image

    def _decoded(
        self,
        prepared: Generator[tuple[NDArray[np.int64], list[_Prepared]]],
        labels: NDArray[np.int8] | None,
    ) -> Iterator[Batch]:
        decoder = self._idle.pop() if self._idle else self._decoder()
        flight: deque[tuple[NDArray[np.int64], list[_Prepared]]] = deque()
        with closing(prepared):
            for rows, items in prepared:
                decoder.submit([item.data for item in items if isinstance(item, _Jpeg)])
                flight.append((rows, items))
                if len(flight) > _IN_FLIGHT:
                    yield self._finish(decoder, *flight.popleft(), labels)
            while flight:
                yield self._finish(decoder, *flight.popleft(), labels)
        # Not reached when the consumer stops early: a graph with batches inside is let go.
        self._idle.append(decoder)

    def _finish(
        self,
        decoder: Decoder,
        rows: NDArray[np.int64],
        items: list[_Prepared],
        labels: NDArray[np.int8] | None,
    ) -> Batch:
        decoded = decoder.collect()
        if decoded is None:
            items = [self._one_by_one(int(r), i) for r, i in zip(rows, items, strict=True)]
        failures = [item for item in items if isinstance(item, Failure)]
        images = self._joined(decoded, items)
        return plan.gather(images, rows=rows, failures=failures, labels=labels)

    def _one_by_one(self, row: int, item: _Prepared) -> _Prepared:
        """Decode on the host what the graph did not."""
        if not isinstance(item, _Jpeg):
            return item
        try:
            return self._on_host(item.data)
        except BadPicture as bad:
            return Failure(row, bad.reason, bad.detail)

    def _joined(self, decoded: torch.Tensor | None, items: list[_Prepared]) -> torch.Tensor:
        """Put what came out of the graph and what did not in the order of the rows."""
        at = [i for i, item in enumerate(items) if isinstance(item, _Jpeg)]
        if decoded is not None:
            host.turn(decoded, [item.orientation for item in items if isinstance(item, _Jpeg)])
            if len(at) == len(items):
                return decoded
        images = plan.empty_images(len(items), self._preprocess.size, device=self._device)
        if decoded is not None:
            images[plan.index(at, self._device)] = decoded
        for slot, item in zip(images, items, strict=True):
            if isinstance(item, torch.Tensor):
                slot.copy_(item.pin_memory() if slot.is_cuda else item, non_blocking=True)
        return images

    def _decoder(self) -> Decoder:
        def build() -> Graph:
            return _graph(
                device=self._device,
                size=self._preprocess.size,
                batch_size=self._batch_size,
                threads=self._threads,
            )

        return Decoder(build, device=self._device)

    def close(self) -> None:
        """End the threads and give the graph's memory back."""
        self._crew.close()
        self._idle.clear()


def _graph(*, device: torch.device, size: int, batch_size: int, threads: int) -> Graph:
    """Build the DALI pipeline: encoded JPEGs in, (N, size, size, 3) uint8 RGB out.

    Raises:
        DaliMissingError: DALI is not installed.
    """
    try:
        dali: Any = import_module("nvidia.dali")
    except ImportError as error:
        raise DaliMissingError(
            "DALI is not installed. Install it with 'pip install nvidia-dali-cuda130', "
            "or choose '--maker host'."
        ) from error
    on_gpu = device.type == "cuda"
    fn, types = dali.fn, dali.types
    pipeline = dali.Pipeline(
        batch_size=batch_size,
        num_threads=threads,
        device_id=device.index if on_gpu else None,
        # 1, or the first run would ask for more batches than have been fed.
        prefetch_queue_depth=1,
    )
    with pipeline:
        encoded = fn.external_source(name=INPUT, dtype=types.UINT8, ndim=1, no_copy=True)
        # Upright is made afterwards: DALI's reading of damaged EXIF differs from everyone's.
        # Fancy upsampling is libjpeg-turbo's; without it, colours differ between GPU and CPU.
        decoded = fn.decoders.image(
            encoded,
            device="mixed" if on_gpu else "cpu",
            output_type=types.RGB,
            adjust_orientation=False,
            jpeg_fancy_upsampling=True,
        )
        resized = fn.resize(
            decoded, size=[size, size], interp_type=types.INTERP_LINEAR, antialias=True
        )
        pipeline.set_outputs(resized)
    pipeline.build()
    return cast("Graph", pipeline)


def _is_for_dali(data: bytes, max_pixels: int) -> bool:
    if not data.startswith(jpeg.SIGNATURE):
        return False
    header = jpeg.header(data)
    if header is None:
        return False
    width, height, colours = header
    return colours in jpeg.PLAIN_COLOURS and width * height <= max_pixels
