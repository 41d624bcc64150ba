"""Label refinement: what is seen of the other classes corrects a class.

    z' = z + B sigmoid(z),  z = W f + b

with a zero diagonal in B, so that no class confirms itself. B starts at zero, where this is the
linear head, and an L2 penalty keeps it there unless the labels say otherwise. It is the learned
counterpart of classifier chains and of CNN-RNN: all classes are refined at once instead of in some
order.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from vocscore.models.head_spec import CHAIN, HeadSpec

PENALTY = 0.001
"""Of the L2 penalty: PENALTY times the sum of the squares of B is added to the mean loss."""


class Refinement(nn.Module):
    """Features (N, F) -> logits (N, C); the state of a linear head, and B.

    Args:
        in_features: F.
        out_features: C.
    """

    others: torch.Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.zeros(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.coupling = nn.Parameter(torch.zeros(out_features, out_features))
        self.register_buffer("others", 1 - torch.eye(out_features), persistent=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) -> logits (N, C)."""
        logits = functional.linear(features, self.weight, self.bias)
        return logits + functional.linear(logits.sigmoid(), self.coupling * self.others)

    def penalty(self) -> torch.Tensor:
        """The L2 penalty on B, a scalar."""
        return PENALTY * (self.coupling * self.others).square().sum()

    def spec(self) -> HeadSpec:
        """The head's kind, for the card."""
        return HeadSpec(CHAIN)
