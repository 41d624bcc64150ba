"""Trains a head on features, or maps, of a frozen backbone, at little cost."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vocscore.config.model import ModelConfig
from vocscore.evaluation.metrics import report
from vocscore.training.head_fits import measure_pooled, open_head_fits
from vocscore.training.learner import Learner
from vocscore.training.losses import Losses
from vocscore.training.trainer import SplitOutcome, copied, epoch_order, row_batches, steps_an_epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vocscore.config.optimization import OptimizationConfig
    from vocscore.models.heads.attach import Head
    from vocscore.training.features import Features
    from vocscore.training.losses import Loss

    Split = tuple[torch.Tensor, torch.Tensor]
    Prepare = Callable[[torch.Tensor], torch.Tensor]

_MAP_ROWS = 64
"""Maps that a head is evaluated on at a time; a batch of features costs next to no memory."""


class HeadTrainer:
    """Trains a head on the CPU, the fastest device for so little arithmetic.

    Where a number is chosen on the validation split (CSRA's lambda), a head per candidate takes the
    same steps, and each epoch's outcome is that of the best one.

    Args:
        head: on the CPU; its kind is trained, and itself if that has only one form.
        train: features to learn from.
        val: features to validate on.
        choice: the optimization settings.
        loss: the training loss.
        seed: for the order of rows, and new weights; not below 0.
        model: says the kind of head and its settings; None: as `head` is.
        graph: of `--head gcn`; None: of the training labels.
    """

    def __init__(
        self,
        head: Head,
        *,
        train: Features,
        val: Features,
        choice: OptimizationConfig,
        loss: Loss,
        seed: int,
        model: ModelConfig | None = None,
        graph: torch.Tensor | None = None,
    ) -> None:
        labels = torch.from_numpy(train.labels)
        with one_thread():
            standard = measure_pooled(train.values, standardize=choice.standardize)
        self._fits = open_head_fits(
            head, model or ModelConfig(), labels, standard=standard, seed=seed, graph=graph
        )
        if choice.standardize:
            for fit in self._fits:
                standard.start(fit.module, labels)
        if train.values.ndim == 2:
            train_values, val_values = standard.of(train.values), standard.of(val.values)
            self._prepare: Prepare = _as_they_are
        else:
            train_values, val_values = train.values, val.values
            self._prepare = lambda maps: standard.of(maps.float())
        self._train = (train_values, labels)
        self._val = (val_values, torch.from_numpy(val.labels))
        self._batch_size = choice.batch_size
        self._loss = loss
        self._seed = seed
        steps = steps_an_epoch(len(train.labels), batch_size=choice.batch_size)
        self._learners = [Learner(fit.module, choice, steps_an_epoch=steps) for fit in self._fits]
        self._best = 0

    def epoch(self, number: int) -> tuple[SplitOutcome, SplitOutcome]:
        """Train, then measure both splits with the head as after the epoch."""
        features, labels = self._train
        order = epoch_order(len(labels), seed=self._seed, epoch=number)
        losses = [Losses() for _ in self._fits]
        with one_thread():
            for rows in row_batches(order, batch_size=self._batch_size):
                at = torch.from_numpy(rows)
                values = self._prepare(features[at])
                for fit, learner, sums in zip(self._fits, self._learners, losses, strict=True):
                    loss = sums.add(*self._loss(learner.module(values), labels[at]))
                    if fit.penalty is not None:
                        loss = loss + fit.penalty(learner.module)
                    learner.step(loss)
        for sums in losses:
            sums.mean(epoch=number)  # raises DivergedError on NaN or infinity
        outcomes = [self._measure(learner, self._val, number) for learner in self._learners]
        self._best = _best(outcomes)
        return self._measure(self._learners[self._best], self._train, number), outcomes[self._best]

    def _measure(self, learner: Learner, split: Split, number: int) -> SplitOutcome:
        prepare = self._prepare
        return measure(learner.best, *split, loss=self._loss, epoch=number, prepare=prepare)

    def rate(self) -> float:
        """See `Trainer`."""
        return self._learners[0].rate

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Trainer`; the head is the one for raw features."""
        folded = self._fits[self._best].fold(self._learners[self._best].best)
        return copied({f"head.{name}": value for name, value in folded.items()})

    def state(self) -> dict[str, Any]:
        """See `Trainer`."""
        if len(self._learners) == 1:
            return self._learners[0].state()
        return {"candidates": [learner.state() for learner in self._learners]}

    def restore(self, state: dict[str, Any]) -> None:
        """See `Trainer`."""
        states = state.get("candidates", [state])
        for learner, own in zip(self._learners, states, strict=True):
            learner.restore(own)


def _best(outcomes: list[SplitOutcome]) -> int:
    """The candidate with the best mAP on the validation split; the first of equal ones."""
    if len(outcomes) == 1:
        return 0
    found = [
        report(one.labels, one.probabilities(), threshold=0.5).mean_average_precision
        for one in outcomes
    ]
    return found.index(max(found))


def _as_they_are(features: torch.Tensor) -> torch.Tensor:
    return features


@torch.no_grad()
def measure(
    head: nn.Module,
    features: torch.Tensor,
    labels: torch.Tensor,
    *,
    loss: Loss,
    epoch: int,
    prepare: Prepare = torch.Tensor.float,
) -> SplitOutcome:
    """Evaluate a head on a split.

    Args:
        head: on the CPU.
        features: float32 (N, F), or maps, float16 (N, F, h, w).
        labels: int8 (N, C).
        loss: as in training.
        epoch: for the error.
        prepare: applied to some features; they must become float32.

    Raises:
        DivergedError: the loss is NaN or infinite.
    """
    losses = Losses()
    rows = max(1, len(features) if features.ndim == 2 else _MAP_ROWS)
    with one_thread():
        logits = torch.cat([head(prepare(part)) for part in torch.split(features, rows)])
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


def start_at_zero(head: Head) -> None:
    """Set a head to zero: on a frozen backbone, a random start adds noise to the ranking.

    After 10 epochs on 70 photographs, with features of norm 33 (a typical value), the mean
    validation mAP over ten splits was 0.40 from zero and 0.36 from torch's random start; with
    features of norm 330 (SqueezeNet's) 0.59 and 0.60. Fine-tuning needs the random start: from
    zero, the layers below get no gradient at first (a new ResNet-18 on 300 drawn images,
    10 epochs, three seeds: 0.25 to 0.28 from zero, 0.40 to 0.45 from random).
    """
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
