"""Multi-label learning without deep heads, by scikit-learn; and features without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import ClassifierChain
from sklearn.neighbors import NearestNeighbors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STRENGTH = 100.0
"""L2 strength of the logistic regressions, on standardized features."""
ORDERS = 5
_NEIGHBORS, _SMOOTH = 10, 1.0
_BINS, _CELL, _LEVELS = 9, 32, 4


def binary_relevance(x: Floats, y: NDArray[np.int64], other: Floats, _seed: int) -> Floats:
    """Probabilities (M, C): one logistic regression per class."""
    columns = [_regression().fit(x, column).predict_proba(other)[:, 1] for column in y.T]
    return np.stack(columns, 1)


def chains(x: Floats, y: NDArray[np.int64], other: Floats, seed: int) -> Floats:
    """Probabilities (M, C): classifier chains in random orders, averaged (Read et al. 2011)."""
    found = [
        ClassifierChain(_regression(), order="random", random_state=seed * ORDERS + number)
        .fit(x, y)
        .predict_proba(other)
        for number in range(ORDERS)
    ]
    averaged: Floats = np.mean(found, axis=0)
    return averaged


def _regression() -> LogisticRegression:
    return LogisticRegression(C=1 / STRENGTH, class_weight="balanced", max_iter=1000)


def ml_knn(x: Floats, y: NDArray[np.int64], other: Floats, _seed: int) -> Floats:
    """Probabilities (M, C) from the labels of the nearest neighbors.

    For a class, the number of neighbors that show it has a distribution among the training images
    that show it and one among the others; Bayes' rule with the class's frequency joins them.

    Source: Zhang and Zhou, ML-KNN, Pattern Recognition 2007, equations 1 to 4.
    """
    near = min(_NEIGHBORS, len(x) - 1)
    index = NearestNeighbors(n_neighbors=near).fit(x)
    own = y[index.kneighbors(return_distance=False)].sum(1)  # without the image itself
    seen = y[index.kneighbors(other, return_distance=False)].sum(1)
    found = np.empty(seen.shape)
    for c in range(y.shape[1]):
        prior = (_SMOOTH + y[:, c].sum()) / (2 * _SMOOTH + len(y))
        chances = []
        for shown in (1, 0):
            counts = np.bincount(own[y[:, c] == shown, c], minlength=near + 1) + _SMOOTH
            chances.append((counts / counts.sum())[seen[:, c]])
        found[:, c] = prior * chances[0] / (prior * chances[0] + (1 - prior) * chances[1])
    return found


def hog_and_colors(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Histograms of oriented gradients, and a color histogram.

    Args:
        images: RGB, (N, 3, S, S).

    Returns:
        float32 (N, F): blocks of 2 x 2 cells of `_CELL` pixels with `_BINS` unsigned orientations
        each, normalized (Dalal and Triggs 2005, without interpolation between bins); and square
        roots of the shares of `_LEVELS` ** 3 colors.
    """
    return np.stack([np.concatenate((_hog(one), _colors(one))) for one in images])


def _hog(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    down, right = np.gradient(image.astype(np.float32).mean(0))
    size, angle = np.hypot(down, right), np.arctan2(down, right) % np.pi
    bins = np.minimum((angle / np.pi * _BINS).astype(np.int64), _BINS - 1)
    cells = image.shape[1] // _CELL
    place = np.arange(image.shape[1]) // _CELL
    cell = place[:, None] * cells + place
    inside = (place[:, None] < cells) & (place < cells)
    index = (cell * _BINS + bins)[inside]
    found = np.bincount(index, size[inside], cells * cells * _BINS).reshape(cells, cells, _BINS)
    blocks = np.concatenate(
        [found[i : cells - 1 + i, j : cells - 1 + j] for i in (0, 1) for j in (0, 1)], 2
    )
    norm = np.linalg.norm(blocks, axis=2, keepdims=True)
    flat: NDArray[np.float32] = (blocks / np.maximum(norm, 1e-6)).ravel().astype(np.float32)
    return flat


def _colors(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    levels = image.reshape(3, -1).astype(np.int64) * _LEVELS // 256
    index = (levels[0] * _LEVELS + levels[1]) * _LEVELS + levels[2]
    counts = np.bincount(index, minlength=_LEVELS**3)
    shares: NDArray[np.float32] = np.sqrt(counts / counts.sum()).astype(np.float32)
    return shares
