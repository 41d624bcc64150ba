"""SPDL: a pipeline of threads around `load_image_batch` (FFmpeg decodes and resizes).

https://facebookresearch.github.io/spdl/main/getting_started/index.html and, for the batch in one
call, its example 'Image dataloading'. The default filter is bicubic and pads; asked for here is
what all contestants do: bilinear, both sides to the size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.peers.task import AbsentError, Loader, Ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers.task import Task


class SpdlLoader(Loader):
    """A pipeline with a thread a core; it starts and ends with each turn, in milliseconds."""

    def __init__(self, task: Task) -> None:
        """Say what is done to each image."""
        from spdl.io import get_video_filter_desc

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

    def batches(self) -> Iterator[Ready]:
        """As the threads give them, in the order of completion."""
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
                yield Ready(self._task.preprocess.normalize(images.permute(0, 3, 1, 2)), rows)

    def close(self) -> None:
        """Nothing outlives a turn."""


def open_spdl(task: Task) -> Loader:
    """SPDL, `load_image_batch`."""
    from spdl.io.utils import get_ffmpeg_versions

    try:
        get_ffmpeg_versions()
    except (ImportError, RuntimeError) as error:
        raise AbsentError(
            "SPDL finds no FFmpeg libraries (libavutil.so, ...): install ffmpeg"
        ) from error
    return SpdlLoader(task)
