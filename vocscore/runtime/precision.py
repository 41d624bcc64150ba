"""Which arithmetic runs a network, and how far its probabilities are from float32's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vocscore.errors import DeviceError
from vocscore.runtime.int8 import check_kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network

PRECISIONS = ("auto", "float32", "bf16", "int8")

MOST_DIFFERENCE = 0.02
"""In probability, to float32: more, on one class of one image, is not faithful."""
MOST_CHANGED = 0.002
"""Share of the decisions at the thresholds that may be others than float32's."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Probabilities of some arithmetic beside float32's, on the same images.

    Attributes:
        images: compared.
        largest: difference of one probability, 0 to 1.
        changed: share of the decisions (images times classes) that are others, 0 to 1.
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
) -> Fidelity:
    """Hold probabilities (N, C) against float32's; `threshold` is one number or one a class."""
    at = np.asarray(threshold)
    return Fidelity(
        images=len(exact),
        largest=float(np.abs(exact - other).max(initial=0.0)),
        changed=float(((exact >= at) != (other >= at)).mean()) if exact.size else 0.0,
    )


@torch.inference_mode()
def measure_bf16(network: Network, card: ModelCard, batches: Iterable[torch.Tensor]) -> Fidelity:
    """Compare bf16 with float32, by PyTorch's autocast, on the device where the network is.

    Whose bf16 it is hardly matters: on 100 photographs, SqueezeNet's largest difference was 0.0907
    with OpenVINO and 0.0905 with autocast.

    Args:
        network: set to evaluation mode.
        card: its preprocessing, thresholds and temperature count.
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
    return compare(np.concatenate(exact), np.concatenate(other), threshold=card.decision_threshold)


def resolve_precision(name: str, card: ModelCard, *, device: str) -> str:
    """Turn what the user asked for into an arithmetic that this machine has.

    Args:
        name: one of `PRECISIONS`. 'auto' is bf16 where the checkpoint was shown to be faithful in
            it and the device computes in it by itself, else float32.
        card: of the checkpoint.
        device: 'cpu' or 'cuda:N'.

    Raises:
        DeviceError: the device does not compute in it.
    """
    if name == "int8":
        check_kind(device.partition(":")[0])
    if name in ("float32", "int8") or (name == "auto" and card.precision == "float32"):
        return "float32" if name == "auto" else name
    if computes_in_bf16(device):
        return "bf16"
    if name == "auto":
        return "float32"
    raise DeviceError(f"{device} does not compute in bf16. Use --precision float32 or auto.")


def computes_in_bf16(device: str) -> bool:
    """Whether a device ('cpu' or 'cuda:N') has instructions for bf16; else it is slower there."""
    if device != "cpu":
        with torch.cuda.device(device):  # torch asks the current one
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    from vocscore.runtime.openvino import has_bf16

    return has_bf16()
