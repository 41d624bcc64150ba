"""The heads' formulas in NumPy, a line each: the readable twin that tests hold the modules to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vocscore.models.head_spec import MAXIMUM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


def csra(
    maps: Numbers, weight: Numbers, bias: Numbers, *, residual: float, temperature: float
) -> Numbers:
    """Logits (N, C) of residual attention.

    Args:
        maps: (N, F, h, w).
        weight: (C, F), of any norm.
        bias: (C,).
        residual: lambda.
        temperature: T; `MAXIMUM` and above: the maximum.
    """
    direction = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    scores = np.einsum("cf,nfhw->nchw", direction, maps).reshape(len(maps), len(weight), -1)
    if temperature >= MAXIMUM:
        attention = scores.max(2)
    else:
        heat = np.exp(temperature * (scores - scores.max(2, keepdims=True)))
        attention = (heat / heat.sum(2, keepdims=True) * scores).sum(2)
    logits: Numbers = scores.mean(2) + residual * attention + bias
    return logits


def gcn_weight(graph: Numbers, first: Numbers, second: Numbers) -> Numbers:
    """The linear head's weight (C, F) of a label graph (C, C), W1 (C, H) and W2 (H, F)."""
    hidden = graph @ first
    return graph @ np.where(hidden > 0, hidden, 0.2 * hidden) @ second


def gcn_graph(labels: NDArray[np.int8], *, threshold: float, share: float) -> Numbers:
    """A^ (C, C) of labels (N, C), edge by edge."""
    classes = labels.shape[1]
    graph = np.eye(classes)
    edges = np.zeros((classes, classes))
    for i in range(classes):
        images = labels[labels[:, i] == 1]
        for j in range(classes):
            if i != j and len(images) and (images[:, j] == 1).mean() >= threshold:
                edges[i, j] = 1
    for j in range(classes):
        if edges[:, j].any():
            graph[:, j] += share * edges[:, j] / edges[:, j].sum()
    degree = graph.sum(1)
    normalized: Numbers = graph / np.sqrt(degree[:, None] * degree)
    return normalized


def chain(features: Numbers, weight: Numbers, bias: Numbers, coupling: Numbers) -> Numbers:
    """Refined logits (N, C) of features (N, F); the diagonal of the coupling (C, C) is ignored."""
    logits = features @ weight.T + bias
    others = coupling - np.diag(np.diag(coupling))
    refined: Numbers = logits + 1 / (1 + np.exp(-logits)) @ others.T
    return refined
