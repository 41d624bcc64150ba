"""The epochs of a training: which of them are still to come, and whose network is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vocscore.evaluation.metrics import report
from vocscore.training.history import EpochResult, best_epoch, split_figures
from vocscore.training.trainer import SplitOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from vocscore.training.choices import Keeping
    from vocscore.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Kept:
    """An epoch, and what it would leave if it were the last.

    Attributes:
        epoch: counted from 1.
        weights: as `Trainer.weights` gives them.
        train: the outcome of the training split.
        val: the outcome of the validation split.
    """

    epoch: int
    weights: dict[str, torch.Tensor]
    train: SplitOutcome
    val: SplitOutcome

    def to_state(self) -> dict[str, Any]:
        """Tensors and plain values."""
        outcomes = {"train": self.train.to_state(), "val": self.val.to_state()}
        return {"epoch": self.epoch, "weights": self.weights, **outcomes}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Kept:
        """The inverse of `to_state`."""
        train, val = (SplitOutcome.from_state(state[name]) for name in ("train", "val"))
        return cls(state["epoch"], state["weights"], train, val)


@dataclass(slots=True)
class SoFar:
    """What the finished epochs gave.

    Attributes:
        history: one result an epoch, from the first on.
        kept: None before the first epoch.
    """

    history: list[EpochResult] = field(default_factory=list)
    kept: Kept | None = None

    def is_over(self, *, epochs: int, patience: int | None) -> bool:
        """Whether no epoch is to follow.

        Args:
            epochs: how many there are at most.
            patience: epochs without a better validation mAP that are one too many; None: never.
        """
        done = len(self.history)
        waited = done - best_epoch(self.history)
        return done >= epochs or (patience is not None and done > 0 and waited >= patience)

    def to_state(self) -> dict[str, Any]:
        """Tensors and plain values; once an epoch is finished."""
        assert self.kept is not None
        history = [result.to_state() for result in self.history]
        return {"history": history, "kept": self.kept.to_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> SoFar:
        """The inverse of `to_state`."""
        history = [EpochResult.from_state(result) for result in state["history"]]
        return cls(history, Kept.from_state(state["kept"]))


def run_epochs(
    fit: Trainer, so_far: SoFar, *, epochs: int, keeping: Keeping, threshold: float
) -> Iterator[EpochResult]:
    """Train the epochs that are to come.

    Args:
        fit: at the end of the last epoch in `so_far`.
        so_far: carried on, in place.
        epochs: how many there are at most, those in `so_far` included.
        keeping: when to stop, and which epoch's network to keep.
        threshold: for the figures.

    Yields:
        Each epoch's result, when `so_far` holds it.

    Raises:
        DivergedError: a loss is not a number; `so_far` is as the last epoch left it.
        TrainError: an image cannot be decoded.
    """
    while not so_far.is_over(epochs=epochs, patience=keeping.patience):
        number = len(so_far.history) + 1
        outcomes = fit.epoch(number)
        train, val = (
            split_figures(o.loss, report(o.labels, o.probabilities(), threshold=threshold))
            for o in outcomes
        )
        plain = EpochResult(number, train, val, kept=True)
        better = best_epoch([*so_far.history, plain]) == number
        kept = keeping.keep == "last" or better
        result = EpochResult(number, train, val, kept=kept, learning_rate=fit.rate())
        if result.kept:
            so_far.kept = Kept(number, fit.weights(), *outcomes)
        so_far.history.append(result)
        yield result
