"""Measures how far bf16 changes the network's probabilities, for `score --precision auto`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import torch

from vocscore.device import CPU
from vocscore.machine import usable_cores
from vocscore.pipeline.loaders import open_loader
from vocscore.runtime.precision import measure_bf16

if TYPE_CHECKING:
    from shards.reader import LabeledImages
    from vocscore.device import Device
    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network
    from vocscore.runtime.precision import Fidelity

MOST_IMAGES = 64
"""With 20 classes, one changed decision is 0.08%."""
_BATCH = 32


def measure_faithfulness(
    network: Network, card: ModelCard, split: LabeledImages, *, device: Device, max_pixels: int
) -> Fidelity:
    """Compare bf16 with float32 on the first images of a split.

    Args:
        network: trained; it is moved to the device and back to the CPU.
        card: its thresholds and temperature are applied.
        split: images that were not used in training.
        device: the CPU, or a GPU with its number.
        max_pixels: as for `open_loader`.
    """
    loader = open_loader(
        "host",
        card.preprocess,
        batch_size=_BATCH,
        device=CPU,
        threads=usable_cores(),
        max_pixels=max_pixels,
    )
    with closing(loader):
        batches = [batch.images for batch in loader.batches(split.images[:MOST_IMAGES])]
    place = torch.device(str(device))
    network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        return measure_bf16(network, card, (images.to(place) for images in batches))
    finally:
        network.cpu()
