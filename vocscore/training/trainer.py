"""Epochs: the order of rows, their batches, and the outcome per split.

A head on features (`linear_probe.py`) and a whole network on images (`finetune.py`) visit the rows
in the same random order, in the same batches, with the same loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from vocscore.models.probabilities import probabilities_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.ranks import Ranks


@dataclass(frozen=True, slots=True)
class SplitOutcome:
    """The results of one pass over one split; row r is image r of the split.

    Attributes:
        loss: mean over all decisions that are not 'difficult'.
        labels: int8, shape (N, C).
        logits: float32, shape (N, C).
    """

    loss: float
    labels: NDArray[np.int8]
    logits: NDArray[np.float32]

    def probabilities(self, *, temperature: float = 1.0) -> NDArray[np.float32]:
        """float32, shape (N, C): the sigmoid of logits / temperature, computed as in scoring."""
        return probabilities_of(self.logits, temperature=temperature)

    def to_state(self) -> dict[str, Any]:
        """Convert to tensors and plain values."""
        labels, logits = torch.from_numpy(self.labels.copy()), torch.from_numpy(self.logits)
        return {"loss": self.loss, "labels": labels, "logits": logits}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> SplitOutcome:
        """The inverse of `to_state`."""
        return cls(state["loss"], state["labels"].numpy(), state["logits"].numpy())


class Trainer(Protocol):
    """Trains a head or a whole network, epoch by epoch."""

    def epoch(self, number: int) -> tuple[SplitOutcome, SplitOutcome]:
        """Train for one epoch, counted from 1.

        Returns:
            The outcomes of the training and of the validation split.

        Raises:
            DivergedError: a loss is not a number.
            TrainError: an image cannot be decoded.
        """
        ...

    def rate(self) -> float:
        """The learning rate of the last step; the head's if the backbone has its own."""
        ...

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy, on the CPU, of the trained part of the network's state, under its names.

        With a moving average, these are the average's weights.
        """
        ...

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on, except torch's random numbers."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state that `state` returned."""
        ...


def epoch_order(images: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of rows in one epoch; equal seeds give equal orders on every machine."""
    return np.random.default_rng((seed, epoch)).permutation(images)


def row_batches(order: NDArray[np.int64], *, batch_size: int) -> list[NDArray[np.int64]]:
    """Cut an order into batches; a last batch of a single row is merged into the one before.

    Batch normalization has no variance over one image, and both ways of training must see the
    same batches.
    """
    cuts = np.arange(batch_size, len(order), batch_size)
    if batch_size > 1 and len(cuts) and len(order) - cuts[-1] == 1:
        cuts = cuts[:-1]
    return np.split(order, cuts)


def share(rows: NDArray[np.int64], ranks: Ranks) -> NDArray[np.int64]:
    """This process's contiguous share of some rows; sizes differ by at most 1 and may be 0."""
    return np.array_split(rows, ranks.size)[ranks.rank]


def largest_share(images: int, ranks: Ranks) -> int:
    """The size of this process's share of `images`, at least 1: the batch size of its loader."""
    return max(1, len(share(np.arange(images), ranks)))


def steps_an_epoch(images: int, *, batch_size: int) -> int:
    """Number of batches that `row_batches` makes."""
    return len(row_batches(np.arange(images), batch_size=batch_size))


def copied(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A copy of the tensors on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}
