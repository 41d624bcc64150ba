"""DALI's CPU graph alone: its own reader, decoder, resize and normalization.

https://docs.nvidia.com/deeplearning/dali/user-guide/docs/examples/getting_started.html and
.../plugins/pytorch_plugin_api.html
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.peers.task import Loader, Ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers.task import Task


class DaliLoader(Loader):
    """A pipeline with a thread a core, and DALI's iterator for torch; a new one each turn.

    A pipeline that lives on decodes its next two batches while others are timed. Building one takes
    about 12 ms, and is done before the clock runs.
    """

    def __init__(self, task: Task) -> None:
        """See whether DALI is there."""
        import nvidia.dali.plugin.pytorch  # noqa: F401

        self._task = task

    def batches(self) -> Iterator[Ready]:
        """As DALI's iterator gives them, in order; the graph is built by the call itself."""
        from nvidia.dali.plugin.base_iterator import LastBatchPolicy
        from nvidia.dali.plugin.pytorch import DALIGenericIterator

        iterator = DALIGenericIterator(
            [_graph(self._task)],
            ["images", "rows"],
            reader_name="files",
            last_batch_policy=LastBatchPolicy.PARTIAL,
            prepare_first_batch=False,  # or it would be made before the clock runs
        )
        return _as_ready(iterator)

    def close(self) -> None:
        """Nothing outlives a turn."""


def _as_ready(iterator: Any) -> Iterator[Ready]:
    for (outputs,) in iterator:
        yield Ready(outputs["images"], outputs["rows"].flatten().tolist())


def _graph(task: Task) -> Any:
    dali: Any = import_module("nvidia.dali")
    fn, types, wanted = dali.fn, dali.types, task.preprocess
    pipe = dali.Pipeline(batch_size=task.batch, num_threads=task.workers, device_id=None)
    with pipe:
        encoded, rows = fn.readers.file(
            files=task.files,
            labels=list(range(len(task.files))),
            name="files",
            pad_last_batch=True,
            stick_to_shard=True,
        )
        images = fn.decoders.image(encoded, output_type=types.RGB, adjust_orientation=False)
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


def open_dali(task: Task) -> Loader:
    """DALI's CPU graph alone."""
    return DaliLoader(task)
