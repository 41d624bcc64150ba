"""Goes on in smaller batches where the GPU's memory does not hold the network's batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vocscore.errors import ScoreError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from vocscore.runtime import Runtime

# cuBLAS and cuDNN take memory of their own and say so as a plain RuntimeError.
_LIBRARY_OUT_OF_MEMORY = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class Halving:
    """A `Runtime` that halves its batches when the GPU's memory runs out, and keeps to it.

    Only a GPU's memory: when main memory runs out, other programs are about to die of it, and
    trying again would not be kind.

    Args:
        runtime: scores.
    """

    def __init__(self, runtime: Runtime) -> None:
        """Start with whatever batches come."""
        self._runtime = runtime
        self._most: int | None = None
        self._problems: list[str] = []

    def problems(self) -> tuple[str, ...]:
        """Hand over what has happened since the last call, a line each."""
        problems = tuple(self._problems)
        self._problems.clear()
        return problems

    def probabilities(self, images: torch.Tensor) -> NDArray[np.float32]:
        """Score a batch; see `Runtime.probabilities`.

        Raises:
            ScoreError: the memory does not hold one picture.
        """
        if self._most is None or len(images) <= self._most:
            whole = self._try(images)
            if whole is not None:
                return whole
        parts: list[NDArray[np.float32]] = []
        at = 0
        while at < len(images):
            piece = images[at : at + (self._most or len(images))]
            scored = self._try(piece)
            if scored is not None:
                parts.append(scored)
                at += len(piece)
        return np.concatenate(parts)

    def _try(self, images: torch.Tensor) -> NDArray[np.float32] | None:
        """Score them, or learn that they are too many."""
        try:
            return self._runtime.probabilities(images)
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
                "the GPU's memory does not hold this network and one picture. Free it (nvidia-smi "
                "shows who has it), or use another --device; finished units are kept."
            )
        self._most = -(-tried // 2)
        self._problems.append(
            f"the GPU's memory did not hold {tried} pictures: the network gets {self._most} at a "
            "time from then on, which may change the last bits of probabilities. A smaller "
            "--batch-size avoids it."
        )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _is_out_of_gpu_memory(error: RuntimeError) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in str(error) for sign in _LIBRARY_OUT_OF_MEMORY
    )
