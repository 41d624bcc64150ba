"""How a network is executed: one interface, whatever runs behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from vocscore import caches
from vocscore.errors import DeviceError
from vocscore.machine import parse_device

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network

    Results = Callable[[], NDArray[np.float32]]
    """Waits for a batch's probabilities: float32, shape (N, C), 0 to 1."""

caches.settle()


class Runtime(Protocol):
    """Pixels -> probabilities (or whatever else a network makes of images, float32, (N, F)).

    Attributes:
        in_flight: batches that are best submitted and not yet fetched: those at work, and one
            behind them.
    """

    in_flight: int = 2

    def submit(self, images: torch.Tensor) -> Results:
        """Start on a batch, so that the caller can do something else meanwhile.

        Args:
            images: uint8, shape (N, 3, S, S), RGB, on the CPU or on the runtime's device; S is
                the size in the checkpoint's Preprocess. N may be 0. Their memory may be used
                again once the results have been fetched, and not before.

        Returns:
            A call that waits for the results and hands them out. It is called once, in the order
            of the batches.
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


def open_runtime(
    network: Network, card: ModelCard, *, device: str, precision: str = "float32", group: int = 32
) -> Runtime:
    """Make a network in memory ready to score.

    Args:
        network: taken over: it is moved to the device and set to evaluation mode, in place.
        card: says how pixels become its input, and logits probabilities.
        device: 'cpu' or 'cuda:N', as `resolve_device` gives it.
        precision: 'float32' or 'bf16'.
        group: images of a full batch; others are scored as well, but not as fast.
    """
    if device == "cpu":
        from vocscore.runtime.opening import open_network

        return open_network(network, card, precision=precision, group=group)
    from vocscore.runtime.cuda import CudaRuntime

    return CudaRuntime(
        network,
        preprocess=card.preprocess,
        classes=len(card.classes),
        device=device,
        precision=precision,
        batch_size=group,
        temperature=card.temperature,
    )


def check_images(images: torch.Tensor, *, size: int) -> None:
    """Refuse what no network of this size takes.

    Raises:
        ValueError: the images are not uint8 (N, 3, size, size).
    """
    import torch

    if images.dtype != torch.uint8 or images.shape[1:] != (3, size, size):
        raise ValueError(
            f"this network takes uint8 (N, 3, {size}, {size}), got {images.dtype} "
            f"{tuple(images.shape)}"
        )


def resolve_device(name: str) -> str:
    """Turn what the user asked for into a device that is there.

    Args:
        name: 'auto' (the first GPU, or the CPU where there is none), 'cpu', 'cuda' or 'cuda:N'.

    Returns:
        'cpu' or 'cuda:N'.

    Raises:
        DeviceError: the name is none of these, or no such GPU is visible.
    """
    kind, index = parse_device(name)
    if kind == "cpu":
        return "cpu"
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        return "cuda:0" if there else "cpu"
    if index >= there:
        seen = f"{there} visible: cuda:0 to cuda:{there - 1}" if there else "none visible to torch"
        raise DeviceError(f"device {name!r} is not there ({seen}). Use --device auto or cpu.")
    return f"cuda:{index}"
