"""Chooses the arithmetic of a network, and measures its difference from float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vocscore.device import Device, parse_precision
from vocscore.errors import DeviceError
from vocscore.models.probabilities import decide
from vocscore.runtime.int8 import check_kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from vocscore.device import Precision
    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network

MOST_DIFFERENCE = 0.02
"""Largest accepted difference in probability from float32, for any class of any image."""
MOST_CHANGED = 0.002
"""Largest accepted share of decisions at the thresholds that differ from float32's."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How close an arithmetic is to float32, on the same images.

    Attributes:
        images: number of images compared.
        largest: largest difference in probability, 0 to 1.
        changed: share of the decisions (images times classes) that differ, 0 to 1.
    """

    images: int
    largest: float
    changed: float

    @property
    def faithful(self) -> bool:
        """Whether `auto` may use this arithmetic."""
        return self.largest <= MOST_DIFFERENCE and self.changed <= MOST_CHANGED


def compare(
    exact: NDArray[np.float32],
    other: NDArray[np.float32],
    *,
    threshold: float | tuple[float, ...],
    activation: str = "sigmoid",
) -> Fidelity:
    """Compare probabilities (N, C) with float32's.

    Args:
        exact: float32's, shape (N, C).
        other: of the other arithmetic, the same shape.
        threshold: of the decisions: one number, or one per class.
        activation: as for `decide`.
    """
    changed = decide(exact, threshold, activation) != decide(other, threshold, activation)
    return Fidelity(
        images=len(exact),
        largest=float(np.abs(exact - other).max(initial=0.0)),
        changed=float(changed.mean()) if exact.size else 0.0,
    )


@torch.inference_mode()
def measure_bf16(network: Network, card: ModelCard, batches: Iterable[torch.Tensor]) -> Fidelity:
    """Compare bf16 with float32, by PyTorch's autocast, on the network's device.

    The implementation hardly matters: on 100 photographs, SqueezeNet's largest difference was
    0.0907 with OpenVINO and 0.0905 with autocast.

    Args:
        network: set to evaluation mode.
        card: its preprocessing, thresholds and temperature are applied.
        batches: uint8 images (N, 3, S, S) on the network's device.
    """
    network.eval()
    exact, other = [], []
    for images in batches:
        pixels = card.preprocess.normalize(images)
        exact.append(card.probabilities(network(pixels)).cpu().numpy())
        with torch.autocast(images.device.type, torch.bfloat16):
            logits = network(pixels)
        other.append(card.probabilities(logits).cpu().numpy())
    return compare(
        np.concatenate(exact),
        np.concatenate(other),
        threshold=card.decision_threshold,
        activation=card.activation,
    )


def resolve_precision(name: str, card: ModelCard, *, device: Device | str) -> Precision:
    """Resolve the requested arithmetic for a device.

    Args:
        name: 'auto' or one of `vocscore.device.PRECISIONS`. 'auto' is bf16 if it was measured to be
            close enough for the checkpoint and the device has instructions for it, else float32.
        card: card of the checkpoint.
        device: the CPU, or a GPU with its number; or its name.

    Raises:
        DeviceError: there is no such arithmetic, or the device does not support it.
    """
    device = Device.parse(device)
    wanted = card.precision if name == "auto" else parse_precision(name)
    if wanted == "int8":
        check_kind(device.kind)
    if wanted != "bf16" or computes_in_bf16(device):
        return wanted
    if name == "auto":
        return "float32"
    raise DeviceError(
        f"{device} does not support bf16. Use `precision='float32'` or `precision='auto'`."
    )


def computes_in_bf16(device: Device | str) -> bool:
    """Whether a device has instructions for bf16; without them bf16 is slower than float32.

    Args:
        device: the CPU, or a GPU with its number; or its name.
    """
    device = Device.parse(device)
    if device.is_gpu:
        with torch.cuda.device(str(device)):  # torch asks the current one
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    from vocscore.runtime.openvino import has_bf16

    return has_bf16()
