"""Class-specific residual attention: each class looks at the places of the map that show it.

With a map x_j (j: places), s_cj = v_c x_j, and the logit is

    z_c = mean_j s_cj + lambda sum_j softmax_j(T s_cj) s_cj + b_c

The mean is a linear head on pooled features. The sum is attention; for a large temperature T it is
the maximum over places.

The paper's v_c is w_c / |w_c|, and it has no bias. Here v_c keeps its length, so that lambda 0 is
the linear head of the other trainings, with its bias and its start at zero; docs/training.md has
the figures of both.

Source: Zhu and Wu, Residual Attention: A Simple but Effective Method for Multi-Label Recognition,
ICCV 2021, equations 2 to 6; written from the formulas.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from vocscore.models.head_spec import CSRA, MAXIMUM, HeadSpec


class ResidualAttention(nn.Module):
    """Maps (N, F, h, w) -> logits (N, C).

    Args:
        in_features: F.
        out_features: C.
        residual: lambda.
        temperature: T; `MAXIMUM` and above: the maximum.
    """

    residual: torch.Tensor

    def __init__(
        self, in_features: int, out_features: int, *, residual: float, temperature: float
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.temperature = temperature
        self.weight = nn.Parameter(torch.zeros(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        # Beside the weights, because training chooses it together with them.
        self.register_buffer("residual", torch.tensor(float(residual)))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, F, h, w) -> logits (N, C)."""
        return attend(self._scores(maps), self.residual, self.temperature) + self.bias

    def class_maps(self, maps: torch.Tensor) -> torch.Tensor:
        """The logit of an image that shows everywhere what it shows at a place: (N, C, h, w)."""
        return (1 + self.residual) * self._scores(maps) + self.bias[:, None, None]

    def shifted(self, mean: torch.Tensor, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        """The state of the head that computes from raw maps what this one does from standardized.

        Every place's score is lower by k_c = v_c mean / scale, which leaves the softmax as it is,
        so the logit is lower by (1 + lambda) k_c.

        Args:
            mean: float32 (F,), subtracted from features.
            scale: float32 (), by which they are divided.
        """
        shift = (1 + self.residual) * (self.weight.double() @ mean.double()) / scale
        return {
            "weight": self.weight / scale,
            "bias": (self.bias.double() - shift).float(),
            "residual": self.residual,
        }

    def spec(self) -> HeadSpec:
        """The head's kind and numbers, for the card."""
        # to float32's digits: 0.3, and not 0.30000001192092896
        return HeadSpec(CSRA, float(f"{float(self.residual):.7g}"), self.temperature)

    def _scores(self, maps: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(maps, self.weight[:, :, None, None])


def attend(
    scores: torch.Tensor, residual: torch.Tensor | float, temperature: float
) -> torch.Tensor:
    """The mean over places plus the residual attention.

    Args:
        scores: s_cj, floating (N, C, h, w).
        residual: lambda.
        temperature: T.

    Returns:
        (N, C).
    """
    flat = scores.flatten(2)
    if temperature >= MAXIMUM:
        attention = flat.amax(2)
    else:
        attention = ((temperature * flat).softmax(2) * flat).sum(2)
    return flat.mean(2) + residual * attention
