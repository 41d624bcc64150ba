"""Turns what a network computes on the CPU into probabilities, with equal bits for equal logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from vocscore.models.card import ModelCard

    Finish = Callable[[NDArray[np.float32]], NDArray[np.float32]]

FINISHED_ROWS = 32
"""torch computes the sigmoid of the last elements of an array, fewer than 32, by another routine,
which may differ in the last bit. So arrays are padded to a multiple of this."""


def finish_of(card: ModelCard) -> Finish:
    """Return what turns outputs of a checkpoint's network into the results of a runtime.

    Returns:
        A function from float32 (N, C) or (N, C + F), logits and maybe features, to the same with
        probabilities in the first C columns.
    """
    classes = len(card.classes)

    def finish(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = outputs[:, :classes]
        blank = np.zeros((-len(outputs) % FINISHED_ROWS, classes), np.float32)
        padded = torch.from_numpy(np.concatenate([logits, blank]))
        found: NDArray[np.float32] = card.probabilities(padded).numpy()[: len(outputs)]
        if outputs.shape[1] == classes:
            return found
        return np.concatenate([found, outputs[:, classes:]], axis=1)

    return finish
