"""Runs the network on batches of one shape, whatever batches the images come in.

The last bits of a float32 result depend on the shape of the batch, because kernels cut their work
into blocks by it. Eager PyTorch on a CPU gave ResNet-18 probabilities up to 6e-7 apart in batches
of 1 and of 64, and with AVX2 in place of AVX-512 they depended on the place in the batch as well.
So the rows of a unit are put into groups of a fixed number, row r on place r % number; a failed
one stays blank, and the last group is filled up with blanks. Then a probability depends on the
checkpoint, the image, its row in the unit and the machine: not on the batch size, the decoding
threads or the neighbors.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from vocscore.pipeline.devices import index
from vocscore.scoring.engines.halving import Halving
from vocscore.scoring.walls import images_per_second

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    from vocscore.pipeline.batch import Batch
    from vocscore.runtime import Results, Runtime

CPU_GROUP = 32
"""Images that the network sees at once on a CPU. On two cores, ResNet-18 is as fast with 8 as
with 64; AlexNet with its large layers has 45% of its speed with 8, 66% with 16, 94% with 32."""


class Pending:
    """Rows whose probabilities are under way.

    Args:
        rows: int64, shape (n,).
        results: waits for the whole group's probabilities.
        places: of the rows in the group, shape (n,); None where the group is the rows.

    Attributes:
        rows: int64, shape (n,).
    """

    def __init__(
        self, rows: NDArray[np.int64], results: Results, places: NDArray[np.int64] | None = None
    ) -> None:
        """Wait for nothing yet."""
        self.rows = rows
        self._places = places
        self._results: Results | None = results
        self._probabilities: NDArray[np.float32] | None = None

    @property
    def fetched(self) -> bool:
        """Whether `fetch` need not wait."""
        return self._probabilities is not None

    def fetch(self) -> NDArray[np.float32]:
        """Wait for the probabilities, shape (n, C); they are there at once the next time."""
        if self._probabilities is None:
            assert self._results is not None
            found = self._results()
            self._results = None  # and with it the images
            self._probabilities = found if self._places is None else found[self._places]
        return self._probabilities


class Forward:
    """Collects the batches of one unit into groups and has these scored, a few at a time.

    Args:
        runtime: scores a group.
        group: images a group.
    """

    def __init__(self, runtime: Runtime, *, group: int) -> None:
        """Hold nothing."""
        self._runtime = Halving(runtime)
        self._group = group
        self._open: dict[int, _Group] = {}
        self._in_flight: deque[Pending] = deque()

    def feed(self, batch: Batch) -> Iterator[Pending]:
        """Take a batch; yield what it has set going."""
        numbers = batch.rows // self._group
        for number in np.unique(numbers):
            at = np.flatnonzero(numbers == number)
            if self._is_whole(batch.rows[at], at):
                yield self._start(batch.rows[at], batch.images[at[0] : at[-1] + 1])
            else:
                self._of(int(number), batch).put(batch.rows[at], _taken(batch.images, at))
        for failure in batch.failures:
            self._of(failure.row // self._group, batch).settled += 1
        for number in [n for n, group in self._open.items() if group.settled >= self._group]:
            yield from self._start_group(self._open.pop(number))

    def flush(self) -> Iterator[Pending]:
        """Set going what has been held back; the unit is at its end."""
        while self._open:
            yield from self._start_group(self._open.pop(next(iter(self._open))))

    def ceiling(self, images: torch.Tensor) -> float:
        """Measure how many images a second the network takes, alone; `images` are tried again."""
        import torch

        # A whole group: one that is filled up with blanks takes as long, and counts for less.
        rows = np.arange(self._group)
        ready = images[: self._group]
        if len(ready) < self._group:
            repeated = images[index((rows % len(images)).tolist(), images.device)]
            ready = repeated.contiguous(memory_format=torch.channels_last)
        at_work = self._runtime.in_flight - 1
        for _ in range(self._runtime.in_flight):
            self._start(rows, ready)

        def work() -> int:  # as many as are worked on at the same time: they end together
            for _ in range(at_work):
                self._start(rows, ready)
            return at_work * len(rows)

        rate = images_per_second(work)
        while self._in_flight:
            self._in_flight.popleft().fetch()
        return rate

    def problems(self) -> tuple[str, ...]:
        """Hand over what a person should know of the machine since the last call, a line each."""
        return self._runtime.problems()

    def _is_whole(self, rows: NDArray[np.int64], at: NDArray[np.int64]) -> bool:
        """Whether a part of a batch is a group as it stands, and needs no copy."""
        in_order = len(rows) == self._group and bool((np.diff(rows) == 1).all())
        return in_order and bool((np.diff(at) == 1).all())

    def _of(self, number: int, batch: Batch) -> _Group:
        if number not in self._open:
            self._open[number] = _Group(self._group, batch.images)
        return self._open[number]

    def _start_group(self, group: _Group) -> Iterator[Pending]:
        if group.rows:
            rows = np.concatenate(group.rows)
            yield self._start(rows, group.images, rows % self._group)

    def _start(
        self, rows: NDArray[np.int64], images: torch.Tensor, places: NDArray[np.int64] | None = None
    ) -> Pending:
        """Submit a group, once there is room in flight: the oldest is waited for."""
        while len(self._in_flight) >= self._runtime.in_flight:
            self._in_flight.popleft().fetch()
        pending = Pending(rows, self._runtime.submit(images), places)
        self._in_flight.append(pending)
        return pending


def _taken(images: torch.Tensor, at: NDArray[np.int64]) -> torch.Tensor:
    """The images at some places, which ascend; where they run on, without a copy."""
    if at[-1] - at[0] + 1 == len(at):
        return images[at[0] : at[-1] + 1]
    return images[index(at.tolist(), images.device)]


class _Group:
    """Images on their places.

    Attributes:
        images: uint8, shape (size, 3, S, S), channels-last; blank places are 0.
        rows: of the images put in.
        settled: places of which no more is to be expected.
    """

    def __init__(self, size: int, like: torch.Tensor) -> None:
        """Make blank places."""
        import torch

        self._size = size
        blank = like.new_zeros((size, *like.shape[1:]))
        self.images = blank.contiguous(memory_format=torch.channels_last)
        self.rows: list[NDArray[np.int64]] = []
        self.settled = 0

    def put(self, rows: NDArray[np.int64], images: torch.Tensor) -> None:
        """Put images on the places of their rows."""
        places = rows % self._size
        if bool((np.diff(rows) == 1).all()):
            # A plain slice: an index that comes from main memory would wait for the GPU.
            self.images[places[0] : places[0] + len(rows)] = images
        else:
            self.images[index(places.tolist(), images.device)] = images
        self.rows.append(rows)
        self.settled += len(rows)
