"""Standardization of features and initialization of biases, to speed up training a linear head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Standard:
    """(features - mean) / scale.

    Each feature has its own mean, and all share one scale: a scale per feature would amplify
    features that hardly vary as much as those that tell classes apart.

    Attributes:
        mean: float32 (F,).
        scale: float32 (), above 0.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def of(self, features: torch.Tensor) -> torch.Tensor:
        """Standardize features (N, F), or maps (N, F, h, w)."""
        mean = self.mean if features.ndim == 2 else self.mean[:, None, None]
        return (features - mean) / self.scale

    @torch.no_grad()
    def start(self, head: nn.Module, labels: torch.Tensor) -> None:
        """Set each bias to the log odds of its class, the best guess without any feature.

        Otherwise the first epochs only learn that classes are rare (Lin et al. 2017, Focal Loss,
        section 3.3, for the same reason).

        Args:
            head: has a `bias` (C,), which is changed in place.
            labels: int8 (N, C), of the training split.
        """
        # Add half an image to both counts: a class without positives is rare, not impossible.
        positives, negatives = ((labels == value).sum(0) + 0.5 for value in (1, 0))
        assert isinstance(head.bias, torch.Tensor)
        head.bias.copy_(torch.log(positives / negatives))

    @torch.no_grad()
    def fold(self, head: nn.Module) -> dict[str, torch.Tensor]:
        """Fold the standardization into the head: the state of the same function of raw features.

        W (x - m) / s + b = (W / s) x + (b - (W / s) m)

        Args:
            head: has a `weight` (C, F) and a `bias` (C,).
        """
        assert isinstance(head.weight, torch.Tensor)
        assert isinstance(head.bias, torch.Tensor)
        weight = head.weight / self.scale
        bias = head.bias.double() - weight.double() @ self.mean.double()
        return {"weight": weight, "bias": bias.to(head.bias.dtype)}


def measure_standard(features: torch.Tensor) -> Standard:
    """Measure the mean of each feature, and the RMS distance from it over all features.

    Args:
        features: float32 (N, F), of the training split.
    """
    mean = features.mean(0)
    scale = (features - mean).square().mean().sqrt()
    return Standard(mean, torch.where(scale > 0, scale, 1.0))


def no_standard(features: torch.Tensor) -> Standard:
    """The identity: leaves features (N, F) and the head unchanged, bit for bit."""
    return Standard(torch.zeros(features.shape[1]), torch.ones(()))
