"""Computes probabilities from logits, and predicted classes from probabilities.

Scoring, evaluation, training, the checks of bf16 and int8, and exported models all use these
functions, so the same image gets the same labels everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

_FLOAT64_BYTES = 8


def probabilities(
    logits: torch.Tensor, temperature: float, activation: str = "sigmoid"
) -> torch.Tensor:
    """Compute the probabilities of logits / temperature.

    Args:
        logits: floating point, shape (..., C), any device. float64 is computed in float64 and
            rounded once; every other type is computed in float32.
        temperature: above 0; 1 changes nothing.
        activation: 'sigmoid' of each logit, 'softmax' over the C classes, or 'none': the values
            are probabilities already, and the temperature must be 1.

    Returns:
        float32, the same shape, 0 to 1.
    """
    exact = logits if logits.element_size() == _FLOAT64_BYTES else logits.float()
    if activation == "none":
        return exact.float()
    scaled = exact / temperature
    return (scaled.sigmoid() if activation == "sigmoid" else scaled.softmax(-1)).float()


def probabilities_of(
    logits: NDArray[np.floating[Any]], *, temperature: float
) -> NDArray[np.float32]:
    """Compute the sigmoid for a NumPy array."""
    import torch

    found: NDArray[np.float32] = probabilities(torch.from_numpy(logits), temperature).numpy()
    return found


def decide(
    probabilities: NDArray[np.floating[Any]],
    threshold: float | Sequence[float] | NDArray[Any],
    activation: str = "sigmoid",
) -> NDArray[np.bool_]:
    """Return which classes are predicted: those with a probability at or above the threshold.

    Both are compared as float32, the type of a network's probabilities: a threshold of 0.7 is
    reached by the float32 nearest to 0.7, which is less than the float64 0.7.

    Args:
        probabilities: floating point, shape (..., C).
        threshold: one number, or one per class.
        activation: with 'softmax' an image has one class, so that only its most probable one can
            be predicted.

    Returns:
        bool, the same shape.
    """
    exact = np.asarray(probabilities, np.float32)
    decided: NDArray[np.bool_] = exact >= np.asarray(threshold, np.float32)
    return decided & most_probable(exact) if activation == "softmax" else decided


def most_probable(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return where each image has its largest probability; of equal ones, the first.

    Args:
        probabilities: floating point, shape (..., C). NaN is a probability that is not known; a
            row of NaN has no largest one.

    Returns:
        bool, the same shape.
    """
    found: NDArray[np.bool_] = np.zeros(probabilities.shape, np.bool_)
    unknown = np.isnan(probabilities)
    if found.size:
        largest = np.where(unknown, -np.inf, probabilities).argmax(axis=-1, keepdims=True)
        np.put_along_axis(found, largest, values=True, axis=-1)
    found[unknown] = False
    return found
