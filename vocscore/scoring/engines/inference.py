"""Submits batches to the network asynchronously, with a bounded number in flight."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from vocscore.scoring.ceilings import images_per_second
from vocscore.scoring.engines.oom_retry import OomRetry

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from vocscore.runtime import Results, Runtime


class Pending:
    """Rows whose probabilities are being computed.

    Args:
        rows: int64, shape (n,).
        results: waits for the probabilities of the whole batch.
        places: places of the rows in the batch, shape (n,); None if the batch has only these rows.

    Attributes:
        rows: int64, shape (n,).
    """

    def __init__(
        self, rows: NDArray[np.int64], results: Results, places: NDArray[np.int64] | None = None
    ) -> None:
        self.rows = rows
        self._places = places
        self._results: Results | None = results
        self._probabilities: NDArray[np.float32] | None = None

    @property
    def fetched(self) -> bool:
        """Whether `fetch` need not wait."""
        return self._probabilities is not None

    def fetch(self) -> NDArray[np.float32]:
        """Wait for the probabilities, shape (n, C); later calls return them immediately."""
        if self._probabilities is None:
            assert self._results is not None
            found = self._results()
            self._results = None  # frees the images that it references
            self._probabilities = found if self._places is None else found[self._places]
        return self._probabilities


class Inference:
    """Keeps at most `runtime.in_flight` batches in flight.

    Args:
        runtime: scores a batch.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = OomRetry(runtime)
        self._in_flight: deque[Pending] = deque()

    def submit(
        self, rows: NDArray[np.int64], images: torch.Tensor, places: NDArray[np.int64] | None = None
    ) -> Pending:
        """Submit a batch; if too many are in flight, wait for the oldest one first.

        Args:
            rows: int64, shape (n,).
            images: uint8, shape (N, 3, S, S), channels-last.
            places: as for `Pending`.
        """
        while len(self._in_flight) >= self._runtime.in_flight:
            self._in_flight.popleft().fetch()
        pending = Pending(rows, self._runtime.submit(images), places)
        self._in_flight.append(pending)
        return pending

    def ceiling(self, rows: NDArray[np.int64], images: torch.Tensor) -> float:
        """Measure how many images per second the network scores, by repeating one batch."""
        at_work = self._runtime.at_once
        for _ in range(self._runtime.in_flight):
            self.submit(rows, images)

        def work() -> int:  # as many as run at the same time: they end together
            for _ in range(at_work):
                self.submit(rows, images)
            return at_work * len(rows)

        rate = images_per_second(work)
        while self._in_flight:
            self._in_flight.popleft().fetch()
        return rate

    def problems(self) -> tuple[str, ...]:
        """Return warnings about the device since the last call, one line each."""
        return self._runtime.problems()
