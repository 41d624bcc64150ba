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

ACTIVATIONS = ("sigmoid", "softmax", "none")
"""What turns outputs into probabilities: independent classes; one class per image; nothing."""
_FLOAT64_BYTES = 8


def probabilities(
    logits: torch.Tensor, temperature: float, activation: str = "sigmoid"
) -> torch.Tensor:
    """Compute the activation of logits / temperature.

    Args:
        logits: floating point, shape (..., C), any device. float64 is computed in float64 and
            rounded once; every other type is computed in float32.
        temperature: above 0; 1 changes nothing.
        activation: one of `ACTIVATIONS`. 'none' returns logits / temperature: the network applies
            its own activation, or its outputs are used as they are.

    Returns:
        float32, the same shape, 0 to 1 (with 'none', whatever the network gives).
    """
    exact = logits if logits.element_size() == _FLOAT64_BYTES else logits.float()
    scaled = exact / temperature
    if activation == "softmax":
        return scaled.softmax(dim=-1).float()
    return (scaled if activation == "none" else scaled.sigmoid()).float()


def probabilities_of(
    logits: NDArray[np.floating[Any]], *, temperature: float, activation: str = "sigmoid"
) -> NDArray[np.float32]:
    """Compute the same for a NumPy array."""
    import torch

    given = torch.from_numpy(logits)
    found: NDArray[np.float32] = probabilities(given, temperature, activation).numpy()
    return found


def decide(
    probabilities: NDArray[np.floating[Any]],
    threshold: float | Sequence[float] | NDArray[Any],
    *,
    activation: str = "sigmoid",
) -> NDArray[np.bool_]:
    """Return which classes are predicted: those with a probability at or above the threshold.

    Both are compared as float32, the type of a network's probabilities: a threshold of 0.7 is
    reached by the float32 nearest to 0.7, which is less than the float64 0.7.

    With softmax, an image has one class: only its most probable one can be predicted, the first of
    equal ones.

    Args:
        probabilities: floating point, shape (N, C); with another activation than softmax, any
            shape.
        threshold: one number, or one per class.
        activation: of the probabilities; one of `ACTIVATIONS`.

    Returns:
        bool, the same shape.
    """
    exact = np.asarray(probabilities, np.float32)
    decided: NDArray[np.bool_] = exact >= np.asarray(threshold, np.float32)
    return decided & most_probable(exact) if activation == "softmax" else decided


def most_probable(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return where each image has its largest probability, the first of equal ones.

    Args:
        probabilities: floating point, shape (..., C); NaN (not known) is never the largest, and
            a row of NaN has none.

    Returns:
        bool, the same shape.
    """
    known = np.where(np.isnan(probabilities), -np.inf, probabilities)
    found = np.zeros(known.shape, np.bool_)
    if known.size:
        np.put_along_axis(found, known.argmax(axis=-1, keepdims=True), values=True, axis=-1)
    return found & ~np.isnan(probabilities)
