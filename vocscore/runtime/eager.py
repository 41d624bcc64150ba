"""The plain way: PyTorch runs the layers one after another, on CPU or CUDA, in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.models.checkpoint import ModelCard, Network


def to_device(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Bring pixels to the device; from pinned memory, so that the copy does not hold the CPU up."""
    if images.device.type == "cpu" and device.type == "cuda":
        return images.pin_memory().to(device, non_blocking=True)
    return images.to(device)


class EagerRuntime:
    """A `Runtime` on one device."""

    def __init__(self, network: Network, card: ModelCard, *, device: str) -> None:
        """Take the network over: move it to the device and fix it in evaluation mode."""
        self._device = torch.device(device)
        self._network = network.eval().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._preprocess = card.preprocess
        self._classes = len(card.classes)

    @torch.inference_mode()
    def probabilities(self, images: torch.Tensor) -> NDArray[np.float32]:
        """Score a batch; see `Runtime.probabilities`."""
        if len(images) == 0:  # not every layer takes an empty batch
            return np.empty((0, self._classes), dtype=np.float32)
        size = self._preprocess.size
        if images.dtype != torch.uint8 or images.shape[1:] != (3, size, size):
            raise ValueError(
                f"this network takes uint8 (N, 3, {size}, {size}), got {images.dtype} "
                f"{tuple(images.shape)}"
            )
        pixels = self._preprocess.normalise(to_device(images, self._device))
        logits = self._network(pixels.contiguous(memory_format=torch.channels_last))
        scores: NDArray[np.float32] = logits.float().sigmoid().cpu().numpy()
        return scores
