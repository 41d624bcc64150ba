"""Label graph: the weights of the classes that occur together are computed from one another.

ML-GCN with one-hot embeddings instead of word vectors (which would have to be downloaded):

    P_ij = images with i and j / images with i     from the training labels
    A_ij = 1 where P_ij >= t, i != j
    A'_ij = p A_ij / sum_i A_ij + 1 where i = j
    A^ = D^-1/2 A' D^-1/2,  D_i = sum_j A'_ij
    W = A^ LeakyReLU_0.2(A^ W1) W2,  z = W f + b

After training W is a constant: the head is a linear one and costs nothing at scoring. With A^ = I
(the control) the classes share nothing but W2.

Source: Chen et al., Multi-Label Image Recognition with Graph Convolutional Networks, CVPR 2019,
equations 2 to 8; written from the formulas.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

THRESHOLD = 0.4
"""t: the conditional probability from which two classes are connected."""
SHARE = 0.25
"""p: the weight of a class's neighbors together; its own is 1."""
HIDDEN = 1024
"""Columns of W1, as in the paper."""
_SLOPE = 0.2


def label_graph(
    labels: torch.Tensor, *, threshold: float = THRESHOLD, share: float = SHARE
) -> torch.Tensor:
    """Compute A^ from the labels of the training split.

    Args:
        labels: int8 (N, C): only 1 counts as present.
        threshold: t.
        share: p.

    Returns:
        float32 (C, C); the identity if no two classes are connected.
    """
    shown = (labels == 1).double()
    together = shown.T @ shown
    conditional = together / together.diagonal().clamp(min=1)[:, None]
    edges = (conditional >= threshold).double().fill_diagonal_(0)
    weighted = share * edges / edges.sum(0).clamp(min=1) + torch.eye(len(edges)).double()
    norm = weighted.sum(1).rsqrt()
    return (norm[:, None] * weighted * norm).float()


class GraphProbe(nn.Module):
    """The head in training: features (N, F) -> logits (N, C).

    W2 starts at zero, and with it W, as the linear head does.

    Args:
        in_features: F.
        graph: A^, float32 (C, C).
        seed: of W1.
    """

    graph: torch.Tensor

    def __init__(self, in_features: int, *, graph: torch.Tensor, seed: int) -> None:
        super().__init__()
        classes = len(graph)
        first = torch.rand(classes, HIDDEN, generator=torch.Generator().manual_seed(seed))
        self.first = nn.Parameter((2 * first - 1) / HIDDEN**0.5)
        self.second = nn.Parameter(torch.zeros(HIDDEN, in_features))
        self.bias = nn.Parameter(torch.zeros(classes))
        self.register_buffer("graph", graph, persistent=False)

    @property
    def weight(self) -> torch.Tensor:
        """W, float32 (C, F)."""
        hidden = functional.leaky_relu(self.graph @ self.first, _SLOPE)
        return self.graph @ hidden @ self.second

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) -> logits (N, C)."""
        return functional.linear(features, self.weight, self.bias)
