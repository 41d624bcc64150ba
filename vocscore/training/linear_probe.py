"""A linear probe: trains a linear head on features of a frozen backbone, at little cost."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vocscore.training.feature_scaling import measure_standard, no_standard
from vocscore.training.learner import Learner
from vocscore.training.losses import Losses
from vocscore.training.trainer import SplitOutcome, copied, epoch_order, row_batches, steps_an_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vocscore.config.training import OptimizationConfig
    from vocscore.training.features import Features
    from vocscore.training.losses import Loss


class HeadTrainer:
    """Trains a linear head on the CPU, the fastest device for so little arithmetic.

    Args:
        head: on the CPU; it is trained in place.
        train: features to learn from.
        val: features to validate on.
        choice: the optimization settings.
        loss: the training loss.
        seed: for the order of rows; not below 0.
    """

    def __init__(
        self,
        head: nn.Linear,
        *,
        train: Features,
        val: Features,
        choice: OptimizationConfig,
        loss: Loss,
        seed: int,
    ) -> None:
        measure = measure_standard if choice.standardize else no_standard
        with one_thread():
            self._standard = measure(train.values)
        if choice.standardize:
            self._standard.start(head, torch.from_numpy(train.labels))
        self._train = (self._standard.of(train.values), torch.from_numpy(train.labels))
        self._val = (self._standard.of(val.values), torch.from_numpy(val.labels))
        self._batch_size = choice.batch_size
        self._loss = loss
        self._seed = seed
        steps = steps_an_epoch(len(train.labels), batch_size=choice.batch_size)
        self._learner = Learner(head, choice, steps_an_epoch=steps)

    def epoch(self, number: int) -> tuple[SplitOutcome, SplitOutcome]:
        """Train, then measure both splits with the head as after the epoch."""
        features, labels = self._train
        order = epoch_order(len(labels), seed=self._seed, epoch=number)
        losses = Losses()
        with one_thread():
            for rows in row_batches(order, batch_size=self._batch_size):
                at = torch.from_numpy(rows)
                logits = self._learner.module(features[at])
                self._learner.step(losses.add(*self._loss(logits, labels[at])))
        losses.mean(epoch=number)  # raises DivergedError on NaN or infinity
        train, val = (
            measure(self._learner.best, *split, loss=self._loss, epoch=number)
            for split in (self._train, self._val)
        )
        return train, val

    def rate(self) -> float:
        """See `Trainer`."""
        return self._learner.rate

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Trainer`; the head is the one for raw features."""
        folded = self._standard.fold(self._learner.best)  # type: ignore[arg-type]
        return copied({f"head.{name}": value for name, value in folded.items()})

    def state(self) -> dict[str, Any]:
        """See `Trainer`."""
        return self._learner.state()

    def restore(self, state: dict[str, Any]) -> None:
        """See `Trainer`."""
        self._learner.restore(state)


@torch.no_grad()
def measure(
    head: nn.Module, features: torch.Tensor, labels: torch.Tensor, *, loss: Loss, epoch: int
) -> SplitOutcome:
    """Evaluate a head on a split.

    Args:
        head: on the CPU.
        features: float32 (N, F).
        labels: int8 (N, C).
        loss: as in training.
        epoch: for the error.

    Raises:
        DivergedError: the loss is NaN or infinite.
    """
    losses = Losses()
    with one_thread():
        logits = head(features)
        losses.add(*loss(logits, labels))
    return SplitOutcome(losses.mean(epoch=epoch), labels.numpy(), logits.numpy())


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread: synchronizing several takes longer than a step itself.

    It also makes sums independent of the number of cores and of processes that share them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def start_at_zero(head: nn.Linear) -> None:
    """Set the head to zero: on a frozen backbone, a random start adds noise to the ranking.

    After 10 epochs on 70 photographs, with features of norm 33 (a typical value), the mean
    validation mAP over ten splits was 0.40 from zero and 0.36 from torch's random start; with
    features of norm 330 (SqueezeNet's) 0.59 and 0.60. Fine-tuning needs the random start: from
    zero, the layers below get no gradient at first (a new ResNet-18 on 300 drawn images,
    10 epochs, three seeds: 0.25 to 0.28 from zero, 0.40 to 0.45 from random).
    """
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
