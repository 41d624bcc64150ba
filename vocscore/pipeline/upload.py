"""Copies batches from main memory to a GPU, beside the GPU's other work."""

from __future__ import annotations

import torch

from vocscore.pipeline.devices import is_gpu


class Uploader:
    """Copies batches to a device on a stream of its own.

    On the stream of the network, a copy would wait for the batches before it, and the batches after
    it for the copy: for 256 raw images, a millisecond of PCIe 5 for each seven of a ResNet-18.

    Args:
        device: with its number; for the CPU, tensors are returned unchanged.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if is_gpu(device) else None  # type: ignore[no-untyped-call]

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Start to copy a batch; the host does not wait.

        Args:
            images: in page-locked memory; from other memory, they are copied there first. Their
                memory may be freed at once: torch uses it again only when the copy has ended.

        Returns:
            The batch on the device, for the current stream, in the same layout.
        """
        if self._stream is None:
            return images
        ready = images.pin_memory()  # itself, if it is page-locked
        with torch.cuda.stream(self._stream):
            there = ready.to(self._device, non_blocking=True)
        used = torch.cuda.current_stream(self._device)
        used.wait_stream(self._stream)
        # allocated on another stream, whose next copy could otherwise get its memory too early
        there.record_stream(used)
        return there
