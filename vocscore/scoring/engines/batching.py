"""Groups the rows of a unit into batches of a fixed shape, independent of the decoded batches.

The last bits of a float32 result depend on the shape of the batch, because kernels divide their
work into blocks by it. Eager PyTorch on a CPU gave ResNet-18 probabilities up to 6e-7 apart in
batches of 1 and of 64; with AVX2 instead of AVX-512 they also depended on the place in the batch.
So the rows of a unit are put into groups of a fixed size, row r on place r % size. The place of a
failed row stays blank, and the last group is padded with blanks. A probability then depends only on
the checkpoint, the image, its row in the unit and the machine, not on the batch size, the decoding
threads or the other images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vocscore.pipeline.devices import index
from vocscore.scoring.engines.inference import Inference

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    from vocscore.pipeline.batch import Batch
    from vocscore.runtime import Runtime
    from vocscore.scoring.engines.inference import Pending

CPU_GROUP = 32
"""Images per batch of the network on a CPU. On two cores, ResNet-18 is as fast with 8 as with 64;
AlexNet with its large layers reaches 45% of its full speed with 8, 66% with 16, 94% with 32."""


class FixedBatcher:
    """Collects the batches of one unit into groups and submits each as soon as it is complete.

    Args:
        runtime: scores a group.
        group: images per group.
    """

    def __init__(self, runtime: Runtime, *, group: int) -> None:
        self._inference = Inference(runtime)
        self._group = group
        self._open: dict[int, _Group] = {}

    def feed(self, batch: Batch) -> Iterator[Pending]:
        """Add a batch; submit the groups that it completes and yield them."""
        numbers = batch.rows // self._group
        for number in np.unique(numbers):
            at = np.flatnonzero(numbers == number)
            if self._is_whole(batch.rows[at], at):
                images = batch.images[at[0] : at[-1] + 1]
                yield self._inference.submit(batch.rows[at], images)
            else:
                self._of(int(number), batch).put(batch.rows[at], _taken(batch.images, at))
        for failure in batch.failures:
            self._of(failure.row // self._group, batch).settled += 1
        for number in [n for n, group in self._open.items() if group.settled >= self._group]:
            yield from self._submit(self._open.pop(number))

    def flush(self) -> Iterator[Pending]:
        """Submit the incomplete groups at the end of a unit."""
        while self._open:
            yield from self._submit(self._open.pop(next(iter(self._open))))

    def ceiling(self, images: torch.Tensor) -> float:
        """Measure how many images per second the network scores, without decoding.

        Args:
            images: uint8, shape (N, 3, S, S); the first group of them is scored repeatedly.
        """
        import torch

        # A whole group: one padded with blanks takes as long, and would count fewer images.
        rows = np.arange(self._group)
        ready = images[: self._group]
        if len(ready) < self._group:
            repeated = images[index((rows % len(images)).tolist(), images.device)]
            ready = repeated.contiguous(memory_format=torch.channels_last)
        return self._inference.ceiling(rows, ready)

    def problems(self) -> tuple[str, ...]:
        """Return warnings about the device since the last call, one line each."""
        return self._inference.problems()

    def _is_whole(self, rows: NDArray[np.int64], at: NDArray[np.int64]) -> bool:
        """Whether a part of a batch is a complete group in order, which needs no copy."""
        in_order = len(rows) == self._group and bool((np.diff(rows) == 1).all())
        return in_order and bool((np.diff(at) == 1).all())

    def _of(self, number: int, batch: Batch) -> _Group:
        if number not in self._open:
            self._open[number] = _Group(self._group, batch.images)
        return self._open[number]

    def _submit(self, group: _Group) -> Iterator[Pending]:
        if group.rows:
            rows = np.concatenate(group.rows)
            yield self._inference.submit(rows, group.images, rows % self._group)


def _taken(images: torch.Tensor, at: NDArray[np.int64]) -> torch.Tensor:
    """Return the images at ascending places; without a copy if these are consecutive."""
    if at[-1] - at[0] + 1 == len(at):
        return images[at[0] : at[-1] + 1]
    return images[index(at.tolist(), images.device)]


class _Group:
    """A group that is being filled.

    Attributes:
        images: uint8, shape (size, 3, S, S), channels-last; blank places are 0.
        rows: rows of the images put in.
        settled: number of places that have an image or belong to a failed row.
    """

    def __init__(self, size: int, like: torch.Tensor) -> None:
        import torch

        self._size = size
        blank = like.new_zeros((size, *like.shape[1:]))
        self.images = blank.contiguous(memory_format=torch.channels_last)
        self.rows: list[NDArray[np.int64]] = []
        self.settled = 0

    def put(self, rows: NDArray[np.int64], images: torch.Tensor) -> None:
        """Copy images to the places of their rows."""
        places = rows % self._size
        if bool((np.diff(rows) == 1).all()):
            # A plain slice: indexing with a CPU tensor would wait for the GPU.
            self.images[places[0] : places[0] + len(rows)] = images
        else:
            self.images[index(places.tolist(), images.device)] = images
        self.rows.append(rows)
        self.settled += len(rows)
