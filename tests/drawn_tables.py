"""Random labels and probabilities with everything that makes figures differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Table = tuple[NDArray[np.int8], NDArray[np.float32]]


def draw(seed: int, *, images: int = 200, classes: int = 7, ignored: float = 0.1) -> Table:
    """Random labels and probabilities, with ties where the seed is odd.

    Some labels are ignored, some images have neither labels nor predictions, the last class is
    never present and the last but one only ever difficult.
    """
    rng = np.random.default_rng(seed)
    labels = (rng.random((images, classes)) < 0.25).astype(np.int8)
    drawn = 0.3 * labels + 0.7 * rng.random(labels.shape)
    probabilities: NDArray[np.float32] = (drawn.round(2) if seed % 2 else drawn).astype(np.float32)
    labels[rng.random(labels.shape) < ignored] = -1
    labels[:5] = 0
    probabilities[3:8] = 0.01
    labels[:, -1][labels[:, -1] == 1] = 0
    if classes > 2:
        labels[:, -2] = -1
    return labels, probabilities
