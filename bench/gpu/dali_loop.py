"""A peer: DALI's own graph, from its own reader to normalized batches on the device.

https://docs.nvidia.com/deeplearning/dali/user-guide/docs/examples/use_cases/pytorch/resnet50/pytorch-resnet50.html
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers.task import Task


class DaliLoop:
    """The graph of DALI's documentation, with its iterator for torch."""

    def __init__(self, task: Task, *, device: str) -> None:
        """Keep what is to be built."""
        self._task = task
        self._device = torch.device(device)

    def batches(self) -> Iterator[torch.Tensor]:
        """float32 (N, 3, S, S), normalized, on the device; every image once.

        The call builds the graph, and nothing is read before the first `next`.
        """
        plugin: Any = import_module("nvidia.dali.plugin.pytorch")
        policy: Any = import_module("nvidia.dali.plugin.base_iterator").LastBatchPolicy
        iterator = plugin.DALIGenericIterator(
            [self._graph()],
            ["images"],
            reader_name="files",
            last_batch_policy=policy.PARTIAL,
            prepare_first_batch=False,
        )
        return (outputs["images"] for (outputs,) in iterator)

    def _graph(self) -> Any:
        dali: Any = import_module("nvidia.dali")
        fn, types, task = dali.fn, dali.types, self._task
        on_gpu, wanted = self._device.type == "cuda", task.preprocess
        pipe = dali.Pipeline(
            batch_size=task.batch,
            num_threads=task.workers,
            device_id=self._device.index if on_gpu else None,
        )
        with pipe:
            encoded, _ = fn.readers.file(
                files=task.files, name="files", pad_last_batch=True, stick_to_shard=True
            )
            images = fn.decoders.image(
                encoded, device="mixed" if on_gpu else "cpu", output_type=types.RGB
            )
            images = fn.resize(images, resize_x=wanted.size, resize_y=wanted.size)
            images = fn.crop_mirror_normalize(
                images,
                dtype=types.FLOAT,
                output_layout="CHW",
                mean=[255 * value for value in wanted.mean],
                std=[255 * value for value in wanted.std],
            )
            pipe.set_outputs(images)
        return pipe
