"""Goes on in smaller batches where the GPU's memory does not hold the network's batch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vocscore.errors import ScoreError
from vocscore.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from vocscore.runtime import Results

_T = TypeVar("_T")

# cuBLAS and cuDNN take memory of their own and say so as a plain RuntimeError.
_LIBRARY_OUT_OF_MEMORY = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class Halving(Runtime):
    """A `Runtime` that halves its batches when the GPU's memory runs out, and keeps to it.

    Only a GPU's memory: when main memory runs out, other programs are about to die of it, and
    trying again would not be kind.

    Args:
        runtime: scores.
    """

    def __init__(self, runtime: Runtime) -> None:
        """Start with whatever batches come."""
        self._runtime = runtime
        self.in_flight = runtime.in_flight
        self._most: int | None = None
        self._problems: list[str] = []

    def problems(self) -> tuple[str, ...]:
        """Hand over what has happened since the last call, a line each."""
        problems = tuple(self._problems)
        self._problems.clear()
        return problems

    def submit(self, images: torch.Tensor) -> Results:
        """Start on a batch; see `Runtime.submit`.

        A batch that does not fit is scored piece by piece when its results are fetched: what was
        submitted before it has then left the memory.

        Raises:
            ScoreError: here or from the call that fetches: the memory does not hold one image.
        """
        if self._most is not None and len(images) > self._most:
            return lambda: self._in_pieces(images)
        results = self._unless_too_many(images, lambda: self._runtime.submit(images))
        if results is None:
            return lambda: self._in_pieces(images)

        def fetch() -> NDArray[np.float32]:
            whole = self._unless_too_many(images, results)
            return self._in_pieces(images) if whole is None else whole

        return fetch

    def _in_pieces(self, images: torch.Tensor) -> NDArray[np.float32]:
        parts: list[NDArray[np.float32]] = []
        at = 0
        while at < len(images):
            piece = images[at : at + (self._most or len(images))]
            scored = self._unless_too_many(piece, partial(self._runtime.probabilities, piece))
            if scored is not None:
                parts.append(scored)
                at += len(piece)
        return np.concatenate(parts)

    def _unless_too_many(self, images: torch.Tensor, work: Callable[[], _T]) -> _T | None:
        """Do a step of scoring them, or learn that they are too many."""
        try:
            return work()
        except RuntimeError as error:
            if not _is_out_of_gpu_memory(error):
                raise
        # Here, and not above: an exception that is being handled keeps what failed in memory.
        self._halve(len(images))
        return None

    def _halve(self, tried: int) -> None:
        import torch

        if tried == 1:
            raise ScoreError(
                "the GPU's memory does not hold this network and one image. Free it (nvidia-smi "
                "shows who has it), or use another --device; finished units are kept."
            )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        most = -(-tried // 2)
        if self._most is not None and self._most <= most:
            return  # learnt meanwhile from the batch before this one
        self._most = most
        self._problems.append(
            f"the GPU's memory did not hold {tried} images: the network gets {self._most} at a "
            "time from then on, which may change the last bits of probabilities. A smaller "
            "--batch-size avoids it."
        )


def _is_out_of_gpu_memory(error: RuntimeError) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in str(error) for sign in _LIBRARY_OUT_OF_MEMORY
    )
