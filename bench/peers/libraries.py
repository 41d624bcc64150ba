"""The loaders of other libraries, each written as its documentation recommends.

timm: https://github.com/huggingface/pytorch-image-models/blob/main/inference.py
webdataset: https://webdataset.github.io/webdataset/ (decode, to_tuple, batched; WebLoader)
SPDL: https://facebookresearch.github.io/spdl/main/getting_started/index.html and its example 'Image
dataloading'
DALI: https://docs.nvidia.com/deeplearning/dali/user-guide/docs/examples/getting_started.html and
.../plugins/pytorch_plugin_api.html
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bench.peers.dataloader import end_workers, usual_transform
from bench.peers.task import AbsentError, Loader, ReadyBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers.task import Task

SHARDS_PER_WORKER = 2
"""webdataset gives whole shards to workers: the same number to each."""


class TimmLoader(Loader):
    """`create_loader` over a folder of links; workers start at the first batch.

    `crop_mode='squash'` with `crop_pct=1` resizes both sides, as all contestants do.
    """

    def __init__(self, task: Task) -> None:
        from timm.data import create_dataset, create_loader

        folder, size = task.scratch / "timm", task.preprocess.size
        folder.mkdir()
        for row, file in enumerate(map(Path, task.files)):
            (folder / f"{row:06d}{file.suffix}").symlink_to(file.resolve())
        dataset: Any = create_dataset("", root=str(folder))
        self._rows = [int(Path(name).stem) for name in dataset.filenames(basename=True)]
        self._loader: Any = create_loader(
            dataset,
            input_size=(3, size, size),
            batch_size=task.batch,
            interpolation="bilinear",
            mean=task.preprocess.mean,
            std=task.preprocess.std,
            num_workers=task.workers,
            crop_pct=1.0,
            crop_mode="squash",
            device=torch.device("cpu"),
        )

    def batches(self) -> Iterator[ReadyBatch]:
        """In the order of timm's own list of names."""
        position = 0
        for images, _targets in self._loader:
            yield ReadyBatch(images, self._rows[position : position + len(images)])
            position += len(images)

    def close(self) -> None:
        """End the workers."""
        end_workers(self._loader.loader)


class WebDatasetLoader(Loader):
    """A WebLoader over tars written before the clock runs; workers start at the first batch."""

    def __init__(self, task: Task) -> None:
        import webdataset

        dataset = (
            webdataset.WebDataset(write_tars(task), shardshuffle=False)
            .decode("pil")
            .to_tuple("__key__", "jpg;png")
            .map_tuple(int, usual_transform(task.preprocess))
            .batched(task.batch)
        )
        self._loader: Any = webdataset.WebLoader(
            dataset, batch_size=None, num_workers=task.workers, persistent_workers=True
        )

    def batches(self) -> Iterator[ReadyBatch]:
        """From the workers in turn, not in the order of rows."""
        for rows, images in self._loader:
            yield ReadyBatch(images, [int(row) for row in rows])

    def close(self) -> None:
        """End the workers."""
        end_workers(self._loader.pipeline[0])


def write_tars(task: Task) -> list[str]:
    """The images under their row numbers, in equal shards."""
    from webdataset import TarWriter

    folder = task.scratch / "webdataset"
    folder.mkdir()
    number = min(SHARDS_PER_WORKER * task.workers, len(task.files))
    names = [str(folder / f"{shard:06d}.tar") for shard in range(number)]
    for shard, name in enumerate(names):
        with TarWriter(name) as tar:
            for row in range(shard, len(task.files), number):
                file = Path(task.files[row])
                tar.write({"__key__": f"{row:06d}", file.suffix[1:]: file.read_bytes()})
    return names


class SpdlLoader(Loader):
    """Threads around `load_image_batch` (FFmpeg decodes and resizes); a new pipeline each turn.

    The default filter is bicubic and pads; this one is bilinear and resizes both sides.
    """

    def __init__(self, task: Task) -> None:
        from spdl.io import get_video_filter_desc
        from spdl.io.utils import get_ffmpeg_versions

        try:
            get_ffmpeg_versions()
        except (ImportError, RuntimeError) as error:
            raise AbsentError(
                "SPDL finds no FFmpeg libraries (libavutil.so, ...): install ffmpeg"
            ) from error
        self._task = task
        self._filter = get_video_filter_desc(
            scale_width=task.preprocess.size,
            scale_height=task.preprocess.size,
            scale_algo="bilinear",
            scale_mode=None,
            pix_fmt="rgb24",
        )

    def _load(self, numbered: list[tuple[int, str]]) -> tuple[list[int], Any]:
        import spdl.io

        rows, files = zip(*numbered, strict=True)
        buffer = spdl.io.load_image_batch(
            files, width=None, height=None, pix_fmt=None, filter_desc=self._filter
        )
        return list(rows), spdl.io.to_torch(buffer)

    def batches(self) -> Iterator[ReadyBatch]:
        """In the order of completion."""
        from spdl.pipeline import PipelineBuilder

        threads = self._task.workers
        pipeline = (
            PipelineBuilder()
            .add_source(enumerate(self._task.files))
            .aggregate(self._task.batch)
            .pipe(self._load, concurrency=threads)
            .add_sink(2 * threads)
            .build(num_threads=threads)
        )
        with pipeline.auto_stop():
            for rows, images in pipeline.get_iterator():
                normalized = self._task.preprocess.normalize(images.permute(0, 3, 1, 2))
                yield ReadyBatch(normalized, rows)


class DaliLoader(Loader):
    """DALI's own reader, decoder, resize and normalization, on the CPU or a GPU.

    Each turn builds a new pipeline (about 12 ms, not timed), because an old one would decode its
    next two batches while others are timed.
    """

    def __init__(self, task: Task, *, device: str = "cpu") -> None:
        import nvidia.dali.plugin.pytorch  # noqa: F401

        self._task = task
        self._device = torch.device(device)

    def batches(self) -> Iterator[ReadyBatch]:
        """In order, on the device; the call builds the graph."""
        from nvidia.dali.plugin.base_iterator import LastBatchPolicy
        from nvidia.dali.plugin.pytorch import DALIGenericIterator

        iterator = DALIGenericIterator(
            [_dali_graph(self._task, self._device)],
            ["images", "rows"],
            reader_name="files",
            last_batch_policy=LastBatchPolicy.PARTIAL,
            prepare_first_batch=False,  # it would be prepared before the clock runs
        )
        return (ReadyBatch(out["images"], out["rows"].flatten().tolist()) for (out,) in iterator)


def _dali_graph(task: Task, device: torch.device) -> Any:
    dali: Any = import_module("nvidia.dali")
    fn, types, wanted = dali.fn, dali.types, task.preprocess
    on_gpu = device.type == "cuda"
    where = {"device_id": device.index if on_gpu else None}
    pipe = dali.Pipeline(batch_size=task.batch, num_threads=task.workers, **where)
    with pipe:
        encoded, rows = fn.readers.file(
            files=task.files,
            labels=list(range(len(task.files))),
            name="files",
            pad_last_batch=True,
            stick_to_shard=True,
        )
        images = fn.decoders.image(
            encoded,
            device="mixed" if on_gpu else "cpu",
            output_type=types.RGB,
            adjust_orientation=False,
            jpeg_fancy_upsampling=True,  # as Pillow; on the CPU it always is
        )
        images = fn.resize(images, resize_x=wanted.size, resize_y=wanted.size)
        images = fn.crop_mirror_normalize(
            images,
            dtype=types.FLOAT,
            output_layout="CHW",
            mean=[255 * value for value in wanted.mean],
            std=[255 * value for value in wanted.std],
        )
        pipe.set_outputs(images, rows)
    return pipe
