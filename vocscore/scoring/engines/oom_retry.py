"""Retries in smaller batches when a batch does not fit into GPU memory."""

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

# cuBLAS and cuDNN allocate memory themselves; if that fails, torch raises a plain RuntimeError.
_LIBRARY_OUT_OF_MEMORY = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class OomRetry(Runtime):
    """A `Runtime` that halves its batches when GPU memory runs out, and stays at that size.

    Only for GPU memory: when main memory runs out, other programs are at risk, and a retry would
    make that worse.

    Args:
        runtime: scores the batches.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.in_flight = runtime.in_flight
        self.at_once = runtime.at_once
        self.features = runtime.features
        self._most: int | None = None
        self._problems: list[str] = []

    def problems(self) -> tuple[str, ...]:
        """Return the retries since the last call, one line each."""
        problems = tuple(self._problems)
        self._problems.clear()
        return problems

    def submit(self, images: torch.Tensor) -> Results:
        """Submit a batch; see `Runtime.submit`.

        A batch that does not fit is scored in pieces when its results are fetched: by then, the
        batches submitted before it have freed their memory.

        Raises:
            ScoreError: not even one image fits; raised here or by the call that fetches.
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
        """Return `work()`, or None if the images did not fit into GPU memory."""
        try:
            return work()
        except RuntimeError as error:
            if not _is_out_of_gpu_memory(error):
                raise
        # Not inside `except`: an exception that is being handled keeps the failed batch in memory.
        self._halve(len(images))
        return None

    def _halve(self, tried: int) -> None:
        import torch

        if tried == 1:
            raise ScoreError(
                "the network and one image do not fit into GPU memory. Free some (nvidia-smi shows "
                "what uses it), or use another `device`; finished units are kept."
            )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        most = -(-tried // 2)
        if self._most is not None and self._most <= most:
            return  # the batch before this one has already reduced it
        self._most = most
        self._problems.append(
            f"{tried} images did not fit into GPU memory: from then on at most {self._most} were "
            "scored at a time, which may change the last bits of probabilities. A smaller "
            "`batch_size` avoids this."
        )


def _is_out_of_gpu_memory(error: RuntimeError) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in str(error) for sign in _LIBRARY_OUT_OF_MEMORY
    )
