"""The interface of all runtimes, and their check of the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch
    from numpy.typing import NDArray

Results: TypeAlias = "Callable[[], NDArray[np.float32]]"
"""Waits for a batch's probabilities: float32, shape (N, C), 0 to 1."""


class Runtime(Protocol):
    """Pixels -> probabilities, or other outputs of the network: float32, (N, F).

    Attributes:
        in_flight: number of batches to submit before the first one is fetched: those being
            computed, and at least one more.
        at_once: number of batches that are computed at the same time.
        features: columns of features after the probabilities; their results are (N, C + F).
    """

    in_flight: int = 2
    at_once: int = 1
    features: int = 0

    def submit(self, images: torch.Tensor) -> Results:
        """Start computing a batch and return immediately.

        Args:
            images: uint8, shape (N, 3, S, S), RGB, on the CPU or on the runtime's device; S is
                the size in the checkpoint's Preprocess. N may be 0. Their memory must not be
                reused before the results have been fetched.

        Returns:
            A function that waits for the results and returns them. Call it once, in the order of
            the batches.
        """
        ...

    def probabilities(self, images: torch.Tensor) -> NDArray[np.float32]:
        """Score a batch and wait for it.

        Args:
            images: as for `submit`.

        Returns:
            float32, shape (N, C), 0 to 1, in the order of the images and of the card's classes.
        """
        return self.submit(images)()


def check_images(images: torch.Tensor, *, size: int) -> None:
    """Check the type and shape of images.

    Raises:
        ValueError: the images are not uint8 (N, 3, size, size).
    """
    import torch

    if images.dtype != torch.uint8 or images.shape[1:] != (3, size, size):
        raise ValueError(
            f"this network takes uint8 (N, 3, {size}, {size}), got {images.dtype} "
            f"{tuple(images.shape)}"
        )
