"""The losses for independent labels: binary cross-entropy and asymmetric loss.

A label of -1 (only 'difficult' instances) adds no loss and no gradient in either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from vocscore.errors import DivergedError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from vocscore.config.training import LossConfig

    Loss = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    """Logits (N, C) and int8 labels (N, C) -> the sum over the decisions that count, and their
    number; sums, so that batches of unequal size add up to the mean over a split."""


def open_loss(choice: LossConfig, labels: NDArray[np.int8], *, device: torch.device) -> Loss:
    """Build the configured loss.

    Args:
        choice: which one.
        labels: of the training split, for the class weights.
        device: where the logits will be.
    """
    weight = positive_weights(labels, limit=choice.class_weight).to(device)

    def cross_entropy(
        logits: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return masked_loss(logits, labels, weight=weight)

    def asymmetric(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return asymmetric_loss(
            logits,
            labels,
            weight=weight,
            gammas=(choice.gamma_positive, choice.gamma_negative),
            margin=choice.margin,
        )

    return {"bce": cross_entropy, "asl": asymmetric}[choice.loss]


def positive_weights(labels: NDArray[np.int8], *, limit: float) -> torch.Tensor:
    """The weight of a positive per class, where a negative has weight 1.

    Args:
        labels: int8, shape (N, C).
        limit: the largest weight, at least 1; 1 turns weighting off.

    Returns:
        float32 (C,): negatives / positives of the class, clipped to 1 up to the limit; 1 for a
        class without positives, where there is nothing to weight.
    """
    positives, negatives = (labels == 1).sum(0), (labels == 0).sum(0)
    ratio = torch.from_numpy(negatives / positives.clip(1)).float().clamp(1, limit)
    return torch.where(torch.from_numpy(positives > 0), ratio, 1.0)


def masked_loss(
    logits: torch.Tensor, labels: torch.Tensor, *, weight: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Binary cross-entropy of independent labels, without 'difficult' ones.

    Args:
        logits: floating, shape (N, C).
        labels: int8, same shape: 1 present, 0 absent, -1 only difficult.
        weight: floating (C,), of a positive; None means 1.

    Returns:
        As `Loss`.
    """
    counts = labels >= 0
    total = functional.binary_cross_entropy_with_logits(
        logits,
        labels.clamp(min=0).to(logits.dtype),
        weight=counts,
        pos_weight=weight,
        reduction="sum",
    )
    return total, counts.sum()


def asymmetric_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    weight: torch.Tensor,
    gammas: tuple[float, float],
    margin: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Asymmetric loss: easy negatives, the bulk of a multi-label set, get little or no weight.

    With probability p and p_m = max(p - margin, 0):

        a positive costs  -(1 - p)^gamma_positive * log(p)
        a negative costs  -p_m^gamma_negative * log(1 - p_m)

    With gammas and margin 0 this is binary cross-entropy.

    Source: Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021, equations 5
    to 7.

    Args:
        logits: floating, shape (N, C).
        labels: int8, same shape.
        weight: floating (C,), of a positive.
        gammas: of positives and of negatives, not below 0.
        margin: in [0, 1).

    Returns:
        As `Loss`.
    """
    on_positive, on_negative = gammas
    z = logits.float()
    positive = -functional.logsigmoid(z) * _power((-z).sigmoid(), on_positive) * weight
    shifted = (z.sigmoid() - margin).clamp(min=0)
    # log(1 - p_m) from 1 - p, which keeps its precision where p is almost 1.
    rest = ((-z).sigmoid() + margin).clamp(max=1)
    negative = -rest.clamp(min=1e-30).log() * _power(shifted, on_negative)
    each = torch.where(labels == 1, positive, negative)
    counts = labels >= 0
    return torch.where(counts, each, 0.0).sum(), counts.sum()


def _power(base: torch.Tensor, exponent: float) -> torch.Tensor:
    """The power, with gradient 0 instead of infinity at base 0 for an exponent below 1."""
    return base if exponent == 1 else base.clamp(min=1e-12) ** exponent


class Losses:
    """Accumulates losses on their device without synchronizing; reads them once, at the end."""

    def __init__(self) -> None:
        self._totals: list[torch.Tensor] = []
        self._counts: list[torch.Tensor] = []

    def add(self, total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """Add one batch and return its mean loss (0 if no label counts)."""
        self._totals.append(total.detach())
        self._counts.append(count)
        return total / count.clamp(min=1)

    def sums(self) -> torch.Tensor:
        """float64 (steps, 2), on the CPU: loss sum and number of decisions of each batch."""
        pairs = [
            torch.stack((t.double(), c)) for t, c in zip(self._totals, self._counts, strict=True)
        ]
        return torch.stack(pairs).cpu() if pairs else torch.zeros(0, 2, dtype=torch.float64)

    def mean(self, *, epoch: int) -> float:
        """The mean over all decisions added; see `mean_loss`."""
        return mean_loss(self.sums(), epoch=epoch)


def mean_loss(sums: torch.Tensor, *, epoch: int) -> float:
    """The mean over all decisions of an epoch.

    Args:
        sums: as `Losses.sums` returns them.
        epoch: for the error.

    Raises:
        DivergedError: the loss of a step is NaN or infinite.
    """
    totals, counts = sums.unbind(1)
    bad = torch.nonzero(~totals.isfinite())
    if len(bad):
        raise DivergedError(
            f"epoch {epoch}, step {int(bad[0]) + 1}: the loss is "
            f"{float(totals[bad[0]])}. Use a smaller `learning_rate`."
        )
    return float(totals.sum() / counts.sum().clamp(min=1))
