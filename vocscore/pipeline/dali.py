"""The DALI loader: one graph from `Preprocess`, on GPU (`mixed` decoding) and on CPU.

Strict fast path, tolerant slow path. Only JPEGs that a GPU's engines decode (`dali_routing`) and
that libjpeg-turbo finds undamaged enter the graph: DALI decodes damaged ones to wrong pixels
without an error, and stops at the first that it cannot decode. All others (PNG, WebP, CMYK,
progressive or large JPEGs, ...), most of which DALI would decode on the CPU too, are decoded by the
host path, in the threads that read and check. Raw images are read by the host loader and copied.
"""

from __future__ import annotations

from collections import deque
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch

from vocscore.device import Device
from vocscore.errors import DeviceError
from vocscore.pipeline import batching, host
from vocscore.pipeline.augment import AS_IT_IS
from vocscore.pipeline.batch import Failure, ImageLoader
from vocscore.pipeline.dali_decoder import (
    DEFAULT_TUNING,
    INPUT,
    SHAPES,
    SIZES,
    SQUARES,
    STARTS,
    Decoder,
)
from vocscore.pipeline.dali_routing import Jpeg, Router, complete, inputs_of
from vocscore.pipeline.devices import find_device, index, is_gpu, on_device
from vocscore.pipeline.raw import refuse_other_refs
from vocscore.pipeline.thread_pool import OrderedThreadPool
from vocscore.pipeline.upload import Uploader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shards.sample import ImageRef
    from vocscore.pipeline.augment import Views
    from vocscore.pipeline.batch import Batch
    from vocscore.pipeline.dali_decoder import Graph, Tuning
    from vocscore.pipeline.dali_routing import Prepared
    from vocscore.pipeline.preprocess import Preprocess


class DaliMissingError(DeviceError):
    """DALI is not installed."""


class DaliLoader(ImageLoader):
    """Makes batches with DALI.

    Args:
        preprocess: the preprocessing of each image.
        batch_size: rows per batch.
        threads: images read and checked at the same time; DALI uses as many again for decoding.
        device: the device that decodes; a `Device` or its name.
        max_pixels: as for `image.decode`.
        tuning: settings that affect its speed only.

    Raises:
        DaliMissingError: DALI is not installed.
    """

    def __init__(
        self,
        preprocess: Preprocess,
        *,
        batch_size: int,
        threads: int,
        device: Device | str,
        max_pixels: int,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> None:
        """Start the threads."""
        self._tuning = tuning
        self._preprocess = preprocess
        self._batch_size = batch_size
        self._device = torch.device(str(find_device(Device.parse(device))))
        self._threads = threads
        _dali()  # before anything is begun
        self._router = Router(preprocess, max_pixels)
        # Idle graphs, by whether they crop; most work needs those that do not.
        self._idle: dict[bool, list[Decoder]] = {False: [], True: []}
        self._crew = OrderedThreadPool(threads)
        self._upload = Uploader(self._device)
        self._raw_loader: host.HostLoader | None = None

    def batches(
        self,
        refs: Sequence[ImageRef],
        *,
        labels: NDArray[np.int8] | None = None,
        order: Sequence[int] | None = None,
        views: Views | None = None,
    ) -> Iterator[Batch]:
        """Decode every image once; see `ImageLoader.batches`.

        Raises:
            RuntimeError: an error other than a bad image; the message names the image.
            PreprocessError: as for the host loader.
            DeviceError: the graph cannot be built on the device.
        """
        if refs and all(ref.raw is not None for ref in refs[:]):  # a slice fetches nothing
            return self._raw(self._host().batches(refs, labels=labels, order=order, views=views))
        refuse_other_refs(refs, self._preprocess)
        jobs = batching.split(len(refs), batch_size=self._batch_size, labels=labels, order=order)

        def work(rows: NDArray[np.int64], position: int) -> Prepared:
            row = int(rows[position])
            view = AS_IT_IS if views is None else views.of(row)
            return self._router.prepare(refs[row], row, view)

        crops = views is not None and views.augmentation.crops
        return self._decoded(self._crew.ahead(jobs, work=work), labels, crops=crops)

    def _host(self) -> host.HostLoader:
        """The loader of raw images, which have nothing to decode."""
        if self._raw_loader is None:
            self._raw_loader = host.HostLoader(
                self._preprocess,
                batch_size=self._batch_size,
                threads=self._threads,
                max_pixels=self._router.max_pixels,
                pinned=is_gpu(self._device),
            )
        return self._raw_loader

    def _raw(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Copy batches to the device."""
        with closing(cast("Generator[Batch]", batches)):
            for batch in batches:
                yield replace(batch, images=self._upload(batch.images))

    def _decoded(
        self,
        prepared: Generator[tuple[NDArray[np.int64], list[Prepared]]],
        labels: NDArray[np.int8] | None,
        *,
        crops: bool,
    ) -> Iterator[Batch]:
        idle = self._idle[crops]
        decoder = idle.pop() if idle else self.open_decoder(crops=crops)
        flight: deque[tuple[NDArray[np.int64], list[Prepared]]] = deque()
        with closing(prepared):
            for rows, items in prepared:
                jpegs = [item for item in items if isinstance(item, Jpeg)]
                decoder.submit([item.data for item in jpegs], inputs_of(jpegs))
                flight.append((rows, items))
                if len(flight) > self._tuning.in_flight:
                    yield self._finish(decoder, *flight.popleft(), labels)
            while flight:
                yield self._finish(decoder, *flight.popleft(), labels)
        # Not reached when the consumer stops early: a graph that holds batches is not reused.
        idle.append(decoder)

    def _finish(
        self,
        decoder: Decoder,
        rows: NDArray[np.int64],
        items: list[Prepared],
        labels: NDArray[np.int8] | None,
    ) -> Batch:
        decoded = decoder.collect()
        if decoded is None:
            items = [self._router.decode(int(r), i) for r, i in zip(rows, items, strict=True)]
        failures = [item for item in items if isinstance(item, Failure)]
        with on_device(self._device):
            images = self._joined(decoded, items)
            return batching.gather(images, rows=rows, failures=failures, labels=labels)

    def _joined(self, decoded: torch.Tensor | None, items: list[Prepared]) -> torch.Tensor:
        """Join the images of the graph and of the host path in the order of the rows."""
        if decoded is None:
            return self._from_host(items)
        places = [i for i, item in enumerate(items) if isinstance(item, Jpeg)]
        complete(decoded, [item for item in items if isinstance(item, Jpeg)])
        if len(places) == len(items):
            return decoded
        images = batching.empty_images(len(items), self._preprocess.size, device=self._device)
        images[index(places, self._device)] = decoded
        others = [i for i, item in enumerate(items) if isinstance(item, torch.Tensor)]
        if others:
            images[index(others, self._device)] = self._from_host([items[i] for i in others])
        return images

    def _from_host(self, items: list[Prepared]) -> torch.Tensor:
        """Gather images of the host path, and copy them to the device at once.

        Places of items that have no image stay blank.
        """
        size, pinned = self._preprocess.size, is_gpu(self._device)
        images = batching.empty_images(len(items), size, pinned=pinned)
        for slot, item in zip(images, items, strict=True):
            if isinstance(item, torch.Tensor):
                slot.copy_(item)
        return self._upload(images)

    def open_decoder(self, *, crops: bool = False) -> Decoder:
        """Return a decoder of files known to be good; the benchmark measures it alone.

        Args:
            crops: whether each image is cropped to a box.

        Raises:
            DaliMissingError: DALI is not installed.
        """

        def build() -> Graph:
            return _graph(
                device=self._device,
                preprocess=self._preprocess,
                batch_size=self._batch_size,
                threads=self._threads,
                tuning=self._tuning,
                crops=crops,
            )

        return Decoder(build, device=self._device)

    def close(self) -> None:
        """End the threads and free the graph's memory."""
        self._crew.close()
        if self._raw_loader is not None:
            self._raw_loader.close()
        for decoders in self._idle.values():
            decoders.clear()


def _graph(
    *,
    device: torch.device,
    preprocess: Preprocess,
    batch_size: int,
    threads: int,
    tuning: Tuning,
    crops: bool,
) -> Graph:
    """Build the DALI pipeline: encoded JPEGs in, (N, size, size, 3) uint8 RGB out.

    A graph that crops has the inputs `STARTS` and `SHAPES` as well; another one whose fit keeps the
    aspect ratio has `SIZES` and `SQUARES`.

    Raises:
        DaliMissingError: DALI is not installed.
    """
    on_gpu = is_gpu(device)
    dali = _dali()
    fn, types = dali.fn, dali.types
    pipeline = dali.Pipeline(
        batch_size=batch_size,
        num_threads=threads,
        device_id=device.index if on_gpu else None,
        # 1, otherwise the first run would request more batches than have been fed.
        prefetch_queue_depth=1,
    )
    with pipeline:
        encoded = fn.external_source(name=INPUT, dtype=types.UINT8, ndim=1, no_copy=True)
        # Turned upright afterwards: DALI reads damaged EXIF differently from other decoders.
        # Fancy upsampling is libjpeg-turbo's; without it, colors differ between GPU and CPU.
        decoded = fn.decoders.image(
            encoded,
            device="mixed" if on_gpu else "cpu",
            output_type=types.RGB,
            adjust_orientation=False,
            jpeg_fancy_upsampling=True,
            hw_decoder_load=tuning.hw_decoder_load,
            affine=tuning.affine,
        )
        if crops:
            # After decoding in full, so that pixels at the edge of a crop are the same with every
            # decoder of the GPU.
            starts, shapes = (
                fn.external_source(name=name, dtype=types.INT32, ndim=1)
                for name in (STARTS, SHAPES)
            )
            decoded = fn.slice(decoded, start=starts, shape=shapes, axes=[0, 1])
        size = preprocess.size
        cubic = preprocess.interpolation == "bicubic"
        way = types.INTERP_CUBIC if cubic else types.INTERP_LINEAR
        if crops or preprocess.fit == "squash":
            square = fn.resize(decoded, size=[size, size], interp_type=way, antialias=True)
        else:
            sizes = fn.external_source(name=SIZES, dtype=types.FLOAT, ndim=1)
            squares = fn.external_source(name=SQUARES, dtype=types.INT32, ndim=1)
            square = fn.slice(
                fn.resize(decoded, size=sizes, interp_type=way, antialias=True),
                start=squares,
                shape=[size, size],
                axes=[0, 1],
                out_of_bounds_policy="pad",
                fill_values=list(preprocess.pad_color),
            )
        pipeline.set_outputs(square)
    pipeline.build()
    return cast("Graph", pipeline)


def _dali() -> Any:
    """Import DALI.

    Raises:
        DaliMissingError: it is not installed.
    """
    try:
        import nvidia.dali
    except ImportError as error:
        raise DaliMissingError(
            "DALI is not installed. Install it with 'pip install nvidia-dali-cuda130', "
            "or choose `loader='host'`."
        ) from error
    return nvidia.dali
