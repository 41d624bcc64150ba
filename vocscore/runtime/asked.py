"""What a caller asks of a runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vocscore.device import Device, Precision


@dataclass(frozen=True, slots=True)
class Asked:
    """The runtime that is asked for.

    Attributes:
        device: the CPU, or a GPU with its number.
        precision: as returned by `resolve_precision`.
        group: images in a full batch.
        size: height and width of the images, pixels; None: as in the card.
        features: whether the results are (N, C + F), with the backbone's features.
        logits: whether the results have logits in place of probabilities.
        int8: hash of the quantized model when it was chosen; None: any of these weights.
    """

    device: Device
    precision: Precision
    group: int
    size: int | None = None
    features: bool = False
    logits: bool = False
    int8: str | None = None
