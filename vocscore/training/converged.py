"""`--solver lbfgs`: the linear head that minimizes the regularized loss, found in one pass.

One strength of the L2 penalty for all classes is chosen by cross-validation on the training split.
A penalized head is too cautious on images that it has not seen, the more so the stronger the
penalty. So the held-out logits also give one scale and one shift for the logits of all classes, and
strengths are compared after both. They change no ranking of images.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import nn

from shards.splitting.folds import assign_folds
from vocscore.errors import DivergedError
from vocscore.training.feature_scaling import measure_standard
from vocscore.training.linear_probe import measure, one_thread
from vocscore.training.logistic import TOLERANCE, Problem, solvable, solve
from vocscore.training.losses import positive_weights
from vocscore.training.trainer import SplitOutcome, copied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vocscore.training.features import Features
    from vocscore.training.losses import Loss

STRENGTHS: Final = tuple(10.0 ** (half / 2) for half in range(8, -1, -1))
"""Candidates for the L2 penalty, strong to weak: each starts at the solution before it."""
FOLDS: Final = 5
MOST_IMAGES: Final = 5_000
"""Images on which strengths are compared, drawn at random if there are more: the best strength
hardly depends on their number, because losses are summed."""
_IN_DOUBLE = 2**25
"""Numbers up to which all features are converted to float64 at once (256 MB)."""
_RIDGE = 0.01
"""Penalty of the scale, which would grow without bound where the held-out images are separated."""
_ROUGH = 1e-4
"""Tolerance of the gradient while strengths are compared."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What cross-validation chose; see `Converged`."""

    l2: float
    folds: int = 0
    scale: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class Converged:
    """How the head was solved.

    Attributes:
        l2: the penalty's strength.
        folds: of the cross-validation that chose it; 0 if it was given, 1 if there was only one
            image to choose it on.
        scale: by which the solution's logits are multiplied.
        shift: which is then added to them.
        steps: of L-BFGS.
        gradient: the largest norm of a class's gradient, per weight of its images.
    """

    l2: float
    folds: int
    scale: float
    shift: float
    steps: int
    gradient: float

    def __str__(self) -> str:
        """Say it in a line."""
        how = {0: "as given", 1: "the default for a single image"}.get(
            self.folds, f"chosen in {self.folds} folds of the training split"
        )
        end = "converged" if self.gradient <= TOLERANCE else "NOT converged; use a larger `l2`"
        return f"L2 strength {self.l2:g}, {how}; {end} in {self.steps} steps"


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
                "features of the training split are NaN or infinite. Use `precision='float32'`, or "
                "other `weights`."
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
            choice = cross_validate(problem, keys=self._keys, seed=self._seed)
        else:
            choice = Choice(self._l2)
        solution = solve(problem, _same(choice.l2, problem))
        scaled = solvable(problem)
        theta = solution.theta * torch.where(scaled, choice.scale, 1.0).unsqueeze(1)
        theta[:, -1] += torch.where(scaled, choice.shift, 0.0)
        weight = theta[:, :-1]
        with torch.no_grad():
            self._head.weight.copy_(weight if basis is None else weight @ basis.T)
            self._head.bias.copy_(theta[:, -1])
        self.found = Converged(**asdict(choice), steps=solution.steps, gradient=solution.gradient)

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


def cross_validate(problem: Problem, *, keys: Sequence[str], seed: int) -> Choice:
    """Choose the strength, scale and shift with the smallest loss of held-out images.

    Args:
        problem: of the training split.
        keys: one per image.
        seed: of the folds.
    """
    images = len(problem.signs)
    if images > MOST_IMAGES:
        order = np.random.default_rng(seed).permutation(images)
        rows = np.sort(order[:MOST_IMAGES])
        problem, keys = problem.rows(torch.from_numpy(rows)), [keys[row] for row in rows]
    folds = min(FOLDS, len(set(keys)))
    if folds < 2:
        return Choice(STRENGTHS[0], folds=1)
    shown = ((problem.signs > 0) & (problem.weights > 0)).numpy()
    numbers = torch.from_numpy(assign_folds(shown, folds, keys=keys, seed=seed))
    logits = torch.zeros(len(STRENGTHS), *problem.signs.shape, dtype=torch.float64)
    for number in range(folds):
        held, theta = numbers == number, None
        learned, judged = problem.rows(~held), problem.rows(held)
        for place, strength in enumerate(STRENGTHS):
            theta = solve(learned, _same(strength, problem), start=theta, tolerance=_ROUGH).theta
            logits[place, held] = judged.logits(theta)
    choices = []
    for strength, held_out in zip(STRENGTHS, logits, strict=True):
        scale, shift, loss = _rescaled(problem, held_out)
        choices.append((loss, Choice(strength, folds, scale, shift)))
    return min(choices, key=lambda one: one[0])[1]


def _rescaled(problem: Problem, logits: torch.Tensor) -> tuple[float, float, float]:
    """The scale and shift of logits (N, C) with the smallest loss, and that loss.

    Source: Platt, Probabilistic Outputs for Support Vector Machines, 1999; here one pair for all
    classes, of which many have too few positives for their own.
    """
    counts = problem.weights * solvable(problem)
    size = float(logits.square().mean().sqrt()) or 1.0
    columns = ((logits / size).reshape(-1, 1), problem.signs.reshape(-1, 1), counts.reshape(-1, 1))
    pooled = Problem(*columns)
    theta = solve(pooled, torch.full((1,), _RIDGE, dtype=torch.float64)).theta
    scale, shift = float(theta[0, 0]) / size, float(theta[0, 1])
    if scale <= 0:  # held-out images are ranked no better than at random
        scale, shift = 1.0, 0.0
    return scale, shift, float(pooled.loss((scale * logits + shift).reshape(-1, 1)).sum())


def _same(strength: float, problem: Problem) -> torch.Tensor:
    return torch.full((problem.signs.shape[1],), strength, dtype=torch.float64)


def _shortened(problem: Problem) -> tuple[Problem, torch.Tensor | None]:
    """Rotate N < F features into their N dimensions, in which the optimum lies.

    Returns:
        The problem with features (N, N), and the basis (F, N), float64; None if N >= F.
    """
    images, length = problem.features.shape
    if images >= length:
        small = problem.features.numel() <= _IN_DOUBLE
        return (replace(problem, features=problem.features.double()) if small else problem), None
    basis, upper = torch.linalg.qr(problem.features.double().T)
    return Problem(upper.T.contiguous(), problem.signs, problem.weights), basis
