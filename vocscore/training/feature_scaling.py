"""Features of one center and scale, and a bias to match: what a linear head learns from fastest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Standard:
    """(features - mean) / scale.

    Each feature has its own mean, and all share one scale: a scale for each would make features
    that hardly vary as loud as those that tell classes apart.

    Attributes:
        mean: float32 (F,).
        scale: float32 (), above 0.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def of(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F), standardized."""
        return (features - self.mean) / self.scale

    @torch.no_grad()
    def start(self, head: nn.Linear, labels: torch.Tensor) -> None:
        """Set each bias to the log odds of its class: all that is known before any feature is.

        Else the first epochs are spent on learning that classes are rare (Lin et al. 2017, Focal
        Loss, section 3.3, for the same reason).

        Args:
            head: changed in place.
            labels: int8 (N, C), of the training split.
        """
        # Half an image more on both sides: a class without positives is rare, not impossible.
        positives, negatives = ((labels == value).sum(0) + 0.5 for value in (1, 0))
        head.bias.copy_(torch.log(positives / negatives))

    @torch.no_grad()
    def fold(self, head: nn.Linear) -> dict[str, torch.Tensor]:
        """The state of a head that gives, for plain features, what `head` gives for standard ones.

        W (x - m) / s + b = (W / s) x + (b - (W / s) m)
        """
        weight = head.weight / self.scale
        bias = head.bias.double() - weight.double() @ self.mean.double()
        return {"weight": weight, "bias": bias.to(head.bias.dtype)}


def measure_standard(features: torch.Tensor) -> Standard:
    """The mean of each feature, and the root mean square distance from it over all features.

    Args:
        features: float32 (N, F), of the training split.
    """
    mean = features.mean(0)
    scale = (features - mean).square().mean().sqrt()
    return Standard(mean, torch.where(scale > 0, scale, 1.0))


def no_standard(features: torch.Tensor) -> Standard:
    """Leaves features (N, F), and the head, bit for bit as they are."""
    return Standard(torch.zeros(features.shape[1]), torch.ones(()))
