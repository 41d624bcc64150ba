"""The epoch loop of a training: when it stops, and which epoch's network is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from vocscore.evaluation.metrics import report
from vocscore.training.converged import Converged, ConvergedTrainer
from vocscore.training.history import EpochResult, best_epoch, split_figures
from vocscore.training.trainer import SplitOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from vocscore.config.training import CheckpointConfig
    from vocscore.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Kept:
    """The epoch whose network is kept, and its outcomes.

    Attributes:
        epoch: counted from 1.
        weights: as `Trainer.weights` returns them.
        train: the outcome of the training split.
        val: the outcome of the validation split.
        solved: how, if it was not trained in steps.
    """

    epoch: int
    weights: dict[str, torch.Tensor]
    train: SplitOutcome
    val: SplitOutcome
    solved: Converged | None = None

    def to_state(self) -> dict[str, Any]:
        """Convert to tensors and plain values."""
        outcomes = {"train": self.train.to_state(), "val": self.val.to_state()}
        solved = None if self.solved is None else asdict(self.solved)
        return {"epoch": self.epoch, "weights": self.weights, **outcomes, "solved": solved}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Kept:
        """The inverse of `to_state`."""
        train, val = (SplitOutcome.from_state(state[name]) for name in ("train", "val"))
        solved = state.get("solved")  # missing in states of earlier versions
        found = None if solved is None else Converged(**solved)
        return cls(state["epoch"], state["weights"], train, val, found)


@dataclass(slots=True)
class SoFar:
    """The progress of a training.

    Attributes:
        history: one result per epoch, from the first on.
        kept: None before the first epoch.
    """

    history: list[EpochResult] = field(default_factory=list)
    kept: Kept | None = None

    def is_over(self, *, epochs: int, patience: int | None) -> bool:
        """Whether training is complete.

        Args:
            epochs: maximum number of epochs.
            patience: stop after this many epochs without a better validation mAP; None: never.
        """
        done = len(self.history)
        waited = done - best_epoch(self.history)
        return done >= epochs or (patience is not None and done > 0 and waited >= patience)

    def to_state(self) -> dict[str, Any]:
        """Convert to tensors and plain values; requires at least one finished epoch."""
        assert self.kept is not None
        history = [result.to_state() for result in self.history]
        return {"history": history, "kept": self.kept.to_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> SoFar:
        """The inverse of `to_state`."""
        history = [EpochResult.from_state(result) for result in state["history"]]
        return cls(history, Kept.from_state(state["kept"]))


def run_epochs(
    fit: Trainer, so_far: SoFar, *, epochs: int, keeping: CheckpointConfig, threshold: float
) -> Iterator[EpochResult]:
    """Train the remaining epochs.

    Args:
        fit: in its state after the last epoch in `so_far`.
        so_far: updated in place.
        epochs: maximum number of epochs, including those in `so_far`.
        keeping: when to stop, and which epoch's network to keep.
        threshold: decision threshold for the metrics.

    Yields:
        Each epoch's result, once `so_far` includes it.

    Raises:
        DivergedError: a loss is NaN or infinite; `so_far` is as after the last finished epoch.
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
            solved = fit.found if isinstance(fit, ConvergedTrainer) else None
            so_far.kept = Kept(number, fit.weights(), *outcomes, solved)
        so_far.history.append(result)
        yield result
