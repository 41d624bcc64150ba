"""The exported model: the network with preprocessing and postprocessing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vocscore.exporting.names import INPUT, OUTPUT
from vocscore.pipeline.geometry import in_words, steps

if TYPE_CHECKING:
    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network

FORMAT = 1
_DECISION = "a class is predicted where its probability >= its threshold"
_DECISIONS = {
    "sigmoid": _DECISION,
    "softmax": "the class with the greatest probability is predicted, if >= its threshold",
    "none": _DECISION,
}


class ExportedModel(nn.Module):
    """Pixels in, probabilities out: normalization, network, temperature and activation.

    Args:
        network: of a checkpoint; set to evaluation mode.
        card: of the same checkpoint.
    """

    def __init__(self, network: Network, card: ModelCard) -> None:
        super().__init__()
        self.network = network
        self._card = card
        self.eval()

    @property
    def example(self) -> torch.Tensor:
        """Two black images; uint8, shape (2, S, S, 3)."""
        size = self._card.preprocess.size
        return torch.zeros(2, size, size, 3, dtype=torch.uint8)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels, uint8, shape (N, S, S, 3), RGB -> float32 probabilities, shape (N, C)."""
        # contiguous: the graph gets three values of mean and std instead of a row of them
        images = self._card.preprocess.normalize(pixels.permute(0, 3, 1, 2).contiguous())
        return self._card.probabilities(self.network(images))


def _activation(card: ModelCard) -> dict[str, str]:
    """Say what turns the network's outputs into probabilities."""
    if card.activation == "none":
        return {"activation": "none: the network gives probabilities itself"}
    return {card.activation: "inside the model, with the temperature"}


def describe(card: ModelCard, *, identity: str) -> dict[str, Any]:
    """Describe how to use the exported model, in plain values.

    Args:
        card: of the checkpoint.
        identity: its hash.
    """
    size, classes = card.preprocess.size, len(card.classes)
    threshold = card.decision_threshold
    turned = "turn the image by its EXIF orientation" if card.preprocess.upright else "ignore EXIF"
    return {
        "format": FORMAT,
        "classes": list(card.classes),
        "thresholds": list(threshold) if isinstance(threshold, tuple) else [threshold] * classes,
        "decision": _DECISIONS[card.activation],
        "size": size,
        "resize": in_words(card.preprocess),
        **steps(card.preprocess),
        "orientation": turned,
        "colour": "RGB, 0 to 255",
        "normalisation": "inside the model",
        "temperature": card.temperature,
        **_activation(card),
        "input": {"name": INPUT, "type": "uint8", "shape": ["pictures", size, size, 3]},
        "output": {"name": OUTPUT, "type": "float32", "shape": ["pictures", classes]},
        "backbone": card.backbone,
        "checkpoint": identity,
    }
