"""One epoch of training: of a head on features, or of a whole network on pictures.

Both visit the rows in the same random order, in the same batches, with the same loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch.nn import functional

from vocscore.errors import TrainError
from vocscore.pipeline.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from torch import nn

    from shards.reader import LabelledPictures
    from vocscore.models.checkpoint import Network
    from vocscore.training.features import Decoding, Features


@dataclass(frozen=True, slots=True)
class Splits:
    """What is trained on, and what is validated on."""

    train: LabelledPictures
    val: LabelledPictures


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one pass over one split gave.

    Attributes:
        loss: mean over all decisions that are not 'difficult'.
        labels: int8, shape (N, C).
        probabilities: float32, shape (N, C), in the order of `labels`.
    """

    loss: float
    labels: NDArray[np.int8]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Descent:
    """Stochastic gradient descent, and the random order of its steps.

    Attributes:
        batch_size: pictures a step.
        learning_rate: above 0.
        momentum: 0 up to, not including, 1.
        seed: of the order; not below 0.
    """

    batch_size: int
    learning_rate: float
    momentum: float
    seed: int

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """Over every parameter of a module."""
        return torch.optim.SGD(module.parameters(), lr=self.learning_rate, momentum=self.momentum)

    def order(self, pictures: int, *, epoch: int) -> NDArray[np.int64]:
        """The rows in the order of one epoch; equal seeds give equal orders on every machine."""
        return np.random.default_rng((self.seed, epoch)).permutation(pictures)


class Fit(Protocol):
    """Trains by epochs."""

    def epoch(self, number: int) -> tuple[Outcome, Outcome]:
        """Train for one epoch, counted from 1.

        Returns:
            The outcomes of the training and of the validation split.

        Raises:
            TrainError: a loss is not a number, or a picture cannot be decoded.
        """
        ...


def masked_loss(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Binary cross-entropy of independent labels, 'difficult' ones left out.

    Args:
        logits: floating, shape (N, C).
        labels: int8, same shape: 1 present, 0 absent, -1 only difficult.

    Returns:
        The sum over the decisions that count, and how many these are; sums, so that batches of
        unequal size add up to the mean over a split. A label of -1 has no gradient.
    """
    counts = labels >= 0
    total = functional.binary_cross_entropy_with_logits(
        logits, labels.clamp(min=0).to(logits.dtype), weight=counts, reduction="sum"
    )
    return total, counts.sum()


class HeadFit:
    """Trains a linear head on features, on the CPU: for so little arithmetic it is the faster."""

    def __init__(
        self, head: nn.Linear, *, train: Features, val: Features, descent: Descent
    ) -> None:
        """Keep what every epoch needs; the head is on the CPU."""
        self._head = head
        self._train = train
        self._val = val
        self._descent = descent
        self._optimizer = descent.optimizer(head)

    def epoch(self, number: int) -> tuple[Outcome, Outcome]:
        """Train, then measure both splits with the head as it is after the epoch."""
        order = self._descent.order(len(self._train.labels), epoch=number)
        losses = Losses(epoch=number)
        for rows in row_batches(order, batch_size=self._descent.batch_size):
            logits = self._head(self._train.values[torch.from_numpy(rows)])
            labels = torch.from_numpy(self._train.labels[rows])
            step(self._optimizer, losses.add(*masked_loss(logits, labels)))
        losses.mean()  # refuses what is not a number
        return self._measure(self._train, number), self._measure(self._val, number)

    @torch.inference_mode()
    def _measure(self, features: Features, number: int) -> Outcome:
        losses = Losses(epoch=number)
        logits = self._head(features.values)
        losses.add(*masked_loss(logits, torch.from_numpy(features.labels)))
        return Outcome(losses.mean(), features.labels, logits.sigmoid().numpy())


class WholeFit:
    """Trains every parameter of a network on pictures that are decoded anew in each epoch."""

    def __init__(
        self, network: Network, splits: Splits, *, decoding: Decoding, descent: Descent
    ) -> None:
        """Keep what every epoch needs; the network is on the device of `decoding`."""
        self._network = network
        self._splits = splits
        self._decoding = decoding
        self._descent = descent
        self._optimizer = descent.optimizer(network)

    def epoch(self, number: int) -> tuple[Outcome, Outcome]:
        """Train, then validate.

        The training split's outcome is that of the training steps themselves (dropout and batch
        statistics active, the weights moving): measuring it afterwards would cost another pass.
        """
        train, val = self._splits.train, self._splits.val
        order = self._descent.order(len(train.pictures), epoch=number)
        self._network.train()
        batches = merge_lone(self._decoding.batches(train, order=order))
        during = self._visit(train, batches, number, learn=True)
        self._network.eval()
        after = self._visit(val, self._decoding.batches(val), number, learn=False)
        return during, after

    def _visit(
        self, split: LabelledPictures, batches: Iterable[Batch], number: int, *, learn: bool
    ) -> Outcome:
        losses = Losses(epoch=number)
        rows, scores = [], []
        for batch in batches:
            with torch.inference_mode(not learn):  # not around the maker, which it would break
                logits = self._network(self._decoding.input(batch))
                labels = torch.from_numpy(split.labels[batch.rows]).to(logits.device)
                loss = losses.add(*masked_loss(logits, labels))
            if learn:
                step(self._optimizer, loss)
            rows.append(batch.rows)
            scores.append(logits.detach().float().sigmoid())
            self._decoding.on_pictures(len(batch.rows))
        mean = losses.mean()
        return Outcome(mean, split.labels[np.concatenate(rows)], torch.cat(scores).cpu().numpy())


class Losses:
    """Adds losses up on their device, without waiting for it; looks at them once, at the end."""

    def __init__(self, *, epoch: int) -> None:
        """Start from nothing; `epoch` is for the error."""
        self._epoch = epoch
        self._totals: list[torch.Tensor] = []
        self._counts: list[torch.Tensor] = []

    def add(self, total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """Note one batch; its mean loss comes back (0 where nothing counts)."""
        self._totals.append(total.detach())
        self._counts.append(count)
        return total / count.clamp(min=1)

    def mean(self) -> float:
        """The mean over all decisions so far.

        Raises:
            TrainError: one of the losses is not a number.
        """
        totals = torch.stack(self._totals).double().cpu()
        bad = torch.nonzero(~totals.isfinite())
        if len(bad):
            raise TrainError(
                f"epoch {self._epoch}, step {int(bad[0]) + 1}: the loss is "
                f"{float(totals[bad[0]])}. Use a smaller --learning-rate."
            )
        return float(totals.sum() / torch.stack(self._counts).sum().clamp(min=1).cpu())


def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """One step down the gradient of the loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def row_batches(order: NDArray[np.int64], *, batch_size: int) -> list[NDArray[np.int64]]:
    """Cut an order into batches; a last one of a single row joins the one before it.

    Batch normalisation has no variance over one picture, and the two ways of training must see
    the same batches.
    """
    cuts = np.arange(batch_size, len(order), batch_size)
    if batch_size > 1 and len(cuts) and len(order) - cuts[-1] == 1:
        cuts = cuts[:-1]
    return np.split(order, cuts)


def merge_lone(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same rule as `row_batches`, for batches as they come from a maker."""
    held: Batch | None = None
    for batch in batches:
        if held is not None and len(batch.rows) == 1 < len(held.rows):
            held = Batch(
                images=torch.cat((held.images, batch.images)),
                rows=np.concatenate((held.rows, batch.rows)),
            )
            continue
        if held is not None:
            yield held
        held = batch
    if held is not None:
        yield held
