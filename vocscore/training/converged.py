"""`--solver lbfgs`: the linear head that minimizes the regularized loss, found in one pass.

The strength of the L2 penalty is chosen by cross-validation on the training split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import nn

from shards.splitting.folds import assign_folds
from vocscore.errors import DivergedError
from vocscore.training.feature_scaling import measure_standard
from vocscore.training.linear_probe import measure, one_thread
from vocscore.training.logistic import TOLERANCE, Problem, solve
from vocscore.training.losses import positive_weights
from vocscore.training.trainer import SplitOutcome, copied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vocscore.training.features import Features
    from vocscore.training.losses import Loss

STRENGTHS: Final = tuple(10.0 ** (half / 2) for half in range(8, -2, -1))
"""Candidates for the L2 penalty, strong to weak: each starts at the solution before it."""
FOLDS: Final = 5
MOST_IMAGES: Final = 10_000
"""Images on which strengths are compared, drawn at random if there are more: the best strength
hardly depends on their number, because losses are summed."""
_ROUGH = 1e-5
"""Tolerance of the gradient while strengths are compared."""


@dataclass(frozen=True, slots=True)
class Converged:
    """How the head was solved.

    Attributes:
        l2: the penalty's strength, per class.
        folds: of the cross-validation that chose it; 0 if it was given.
        steps: of L-BFGS.
        gradient: the largest norm of a class's gradient, per weight of its images.
    """

    l2: tuple[float, ...]
    folds: int
    steps: int
    gradient: float

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Converged:
        """The inverse of `asdict`."""
        return cls(**{**state, "l2": tuple(state["l2"])})

    def __str__(self) -> str:
        """Say it in a line."""
        least, most = (f"{end(self.l2):.3g}" for end in (min, max))
        strength = least if least == most else f"{least} to {most} per class"
        how = f"chosen in {self.folds} folds of the training split" if self.folds else "as given"
        end = "converged" if self.gradient <= TOLERANCE else "NOT converged; use a larger --l2"
        return f"L2 strength {strength}, {how}; {end} in {self.steps} steps"


class ConvergedTrainer:
    """Solves a linear head on the CPU in its only epoch; see `Trainer`.

    Features are standardized as with `--standardize`, whether it is set or not: the penalty's
    strength then means the same for every backbone.

    Args:
        head: on the CPU; it is changed in place.
        train: features to learn from.
        val: features to validate on.
        loss: the training loss, for the outcomes.
        limit: the largest weight of a positive, as for `positive_weights`.
        l2: strength of the penalty; None: chosen by cross-validation.
        keys: of the training images; images with equal keys share a fold. Empty: all different.
        seed: of the folds.
    """

    def __init__(
        self,
        head: nn.Linear,
        *,
        train: Features,
        val: Features,
        loss: Loss,
        limit: float,
        l2: float | None,
        keys: Sequence[str],
        seed: int,
    ) -> None:
        with one_thread():
            self._standard = measure_standard(train.values)
        if not bool(train.values.isfinite().all()):
            raise DivergedError(
                "features of the training split are NaN or infinite. Use --precision float32, or "
                "other --weights."
            )
        labels = torch.from_numpy(train.labels)
        self._head = head
        self._train = (self._standard.of(train.values), labels)
        self._val = (self._standard.of(val.values), torch.from_numpy(val.labels))
        self._loss = loss
        self._limit = limit
        self._l2 = l2
        self._keys = keys or [str(row) for row in range(len(labels))]
        self._seed = seed
        self.found: Converged | None = None

    def epoch(self, number: int) -> tuple[SplitOutcome, SplitOutcome]:
        """Solve, then measure both splits."""
        with one_thread():
            self._solve()
        train, val = (
            measure(self._head, *split, loss=self._loss, epoch=number)
            for split in (self._train, self._val)
        )
        return train, val

    def _solve(self) -> None:
        features, labels = self._train
        problem = make_problem(features, labels, limit=self._limit)
        problem, basis = _shortened(problem)
        if self._l2 is None:
            l2 = choose_strengths(problem, keys=self._keys, seed=self._seed)
        else:
            l2 = torch.full((labels.shape[1],), self._l2, dtype=torch.float64)
        solution = solve(problem, l2)
        weight = solution.theta[:, :-1]
        with torch.no_grad():
            self._head.weight.copy_(weight if basis is None else weight @ basis.T)
            self._head.bias.copy_(solution.theta[:, -1])
        folds = 0 if self._l2 is not None else _folds(self._keys)
        self.found = Converged(tuple(l2.tolist()), folds, solution.steps, solution.gradient)

    def rate(self) -> float:
        """0: there is no learning rate."""
        return 0.0

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Trainer`; the head is the one for raw features."""
        folded = self._standard.fold(self._head)
        return copied({f"head.{name}": value for name, value in folded.items()})

    def state(self) -> dict[str, Any]:
        """Nothing: the only epoch depends on nothing before it."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """See `state`."""


def make_problem(features: torch.Tensor, labels: torch.Tensor, *, limit: float) -> Problem:
    """The problem of features (N, F) and int8 labels (N, C), with weighted positives."""
    positive = positive_weights(labels.numpy(), limit=limit).double()
    weights = torch.where(labels == 1, positive, (labels == 0).double())
    return Problem(features, torch.where(labels == 1, 1.0, -1.0).double(), weights)


def choose_strengths(problem: Problem, *, keys: Sequence[str], seed: int) -> torch.Tensor:
    """Per class the strength with the smallest loss of images that the head was not trained on.

    Args:
        problem: of the training split.
        keys: one per image.
        seed: of the folds.

    Returns:
        float64 (C,).
    """
    images, classes = problem.signs.shape
    if images > MOST_IMAGES:
        order = np.random.default_rng(seed).permutation(images)
        rows = np.sort(order[:MOST_IMAGES])
        problem, keys = problem.rows(torch.from_numpy(rows)), [keys[row] for row in rows]
    candidates = torch.tensor(STRENGTHS, dtype=torch.float64)
    folds = _folds(keys)
    if folds < 2:
        return candidates[:1].expand(classes)
    shown = ((problem.signs > 0) & (problem.weights > 0)).numpy()
    numbers = assign_folds(shown, folds, keys=keys, seed=seed)
    losses = torch.zeros(len(candidates), classes, dtype=torch.float64)
    for number in range(folds):
        held = torch.from_numpy(numbers == number)
        learned, judged, theta = problem.rows(~held), problem.rows(held), None
        for place, strength in enumerate(candidates):
            solution = solve(learned, strength.expand(classes), start=theta, tolerance=_ROUGH)
            theta = solution.theta
            losses[place] += judged.loss(judged.logits(theta))
    return candidates[losses.argmin(0)]


def _folds(keys: Sequence[str]) -> int:
    """Folds of the cross-validation; below 2 without two different images."""
    return min(FOLDS, len(set(keys)))


def _shortened(problem: Problem) -> tuple[Problem, torch.Tensor | None]:
    """Rotate N < F features into their N dimensions, in which the optimum lies.

    Returns:
        The problem with features (N, N), and the basis (F, N), float64; None if N >= F.
    """
    images, length = problem.features.shape
    if images >= length:
        return problem, None
    basis, upper = torch.linalg.qr(problem.features.double().T)
    return Problem(upper.T.contiguous(), problem.signs, problem.weights), basis
