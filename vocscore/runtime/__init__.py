"""How a network is executed: one interface, whatever runs behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from vocscore.errors import DeviceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vocscore.models.checkpoint import ModelCard, Network


class Runtime(Protocol):
    """Pixels -> probabilities."""

    def probabilities(self, images: torch.Tensor) -> NDArray[np.float32]:
        """Score a batch.

        Args:
            images: uint8, shape (N, 3, S, S), RGB, on the CPU or on the runtime's device; S is
                the size in the checkpoint's Preprocess. N may be 0.

        Returns:
            float32, shape (N, C), 0 to 1, in the order of the images and of the card's classes.
        """
        ...


def open_runtime(network: Network, card: ModelCard, *, device: str) -> Runtime:
    """Make a network ready to score.

    Args:
        network: taken over: it is moved to the device and set to evaluation mode, in place.
        card: says how pixels become the network's input.
        device: 'cpu' or 'cuda:N', as `resolve_device` gives it.
    """
    from vocscore.runtime.eager import EagerRuntime

    return EagerRuntime(network, card, device=device)


def resolve_device(name: str) -> str:
    """Turn what the user asked for into a device that is there.

    Args:
        name: 'auto' (the first GPU, or the CPU where there is none), 'cpu', 'cuda' or 'cuda:N'.

    Returns:
        'cpu' or 'cuda:N'.

    Raises:
        DeviceError: the name is none of these, or no such GPU is visible.
    """
    if name == "cpu":
        return "cpu"
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda:0" if there else "cpu"
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (name == "cuda" or (number.isascii() and number.isdigit())):
        raise DeviceError(f"device {name!r} is none of auto, cpu, cuda, cuda:N.")
    index = int(number or 0)
    if index >= there:
        seen = f"{there} visible: cuda:0 to cuda:{there - 1}" if there else "none visible to torch"
        raise DeviceError(f"device {name!r} is not there ({seen}). Use --device auto or cpu.")
    return f"cuda:{index}"
