"""L2-regularized logistic regression of independent classes, solved to convergence.

For each class, with logits z = x w + b, labels y in {0, 1} and weights s of the images:

    sum_i s_i log(1 + exp(-(2 y_i - 1) z_i)) + l2 / 2 |w|^2

which is scikit-learn's `LogisticRegression(C=1 / l2)`. The classes share the two products with the
features that a step needs; everything else (steps, line search, end) is per class.

Why not SciPy: its L-BFGS-B compares values of the loss, whose rounding hides the last steps. With
one problem for all classes it took 2 to 14 times as long on 70 to 5,000 images, and missed
`TOLERANCE` with 200 classes; with one problem per class it reached it in 2 to 24 times the time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

TOLERANCE: Final = 1e-8
"""Largest norm of a class's gradient at the end, divided by the sum of its weights."""
MOST_STEPS: Final = 1000
_MEMORY = 10
"""Steps that L-BFGS remembers."""
_LINE = 0.1
"""The line search ends where the slope is this share of that at its start."""
_MOST_TRIALS = 40
_ROWS = 8192
"""Rows of features that are converted to float64 at a time."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Features, labels and weights of images.

    Attributes:
        features: float32 or float64 (N, F).
        signs: float64 (N, C): 1 for a positive, -1 for a negative.
        weights: float64 (N, C): 0 leaves an image out of a class.
    """

    features: torch.Tensor
    signs: torch.Tensor
    weights: torch.Tensor

    def rows(self, chosen: torch.Tensor) -> Problem:
        """The problem of some images, a mask (N,)."""
        return Problem(self.features[chosen], self.signs[chosen], self.weights[chosen])

    def logits(self, theta: torch.Tensor) -> torch.Tensor:
        """float64 (N, C): of weights and bias (C, F + 1)."""
        parts = [part.double() @ theta[:, :-1].T for part in torch.split(self.features, _ROWS)]
        return torch.cat(parts) + theta[:, -1]

    def gradient(self, logits: torch.Tensor) -> torch.Tensor:
        """float64 (C, F + 1): of the loss, without the penalty."""
        slopes = self.slopes(logits)
        weight = torch.zeros(slopes.shape[1], self.features.shape[1], dtype=torch.float64)
        pairs = zip(torch.split(slopes, _ROWS), torch.split(self.features, _ROWS), strict=True)
        for slope, part in pairs:
            weight += slope.T @ part.double()
        return torch.cat((weight, slopes.sum(0).unsqueeze(1)), 1)

    def slopes(self, logits: torch.Tensor) -> torch.Tensor:
        """float64 (N, C): the derivative of every image's loss by its logit."""
        return -self.signs * self.weights * torch.sigmoid(-self.signs * logits)

    def loss(self, logits: torch.Tensor) -> torch.Tensor:
        """float64 (C,): the weighted sum over images."""
        return (self.weights * functional.softplus(-self.signs * logits)).sum(0)


@dataclass(frozen=True, slots=True)
class Solution:
    """Weights and biases of every class.

    Attributes:
        theta: float64 (C, F + 1); the last column is the bias.
        steps: of the slowest class.
        gradient: the largest norm of a class's gradient, divided by the sum of its weights.
    """

    theta: torch.Tensor
    steps: int
    gradient: float


def solve(
    problem: Problem,
    l2: torch.Tensor,
    *,
    start: torch.Tensor | None = None,
    tolerance: float = TOLERANCE,
) -> Solution:
    """Solve for every class.

    A class without a positive or without a negative has no finite solution; its weights are 0 and
    its bias is the log odds of its counts, with half an image added to both.

    Args:
        problem: images.
        l2: float64 (C,), above 0.
        start: as `Solution.theta`; None: zero weights, and biases at the log odds.
        tolerance: of the gradient, as `Solution.gradient`.

    Source: Nocedal and Wright, Numerical Optimization, algorithm 7.4, with the step length found
    by Newton's method along the line, which costs no product with the features.
    """
    solved = solvable(problem)
    theta = torch.zeros(len(l2), problem.features.shape[1] + 1, dtype=torch.float64)
    theta[:, -1] = _log_odds(problem)
    if start is not None:
        theta[solved] = start[solved]
    penalty = l2.unsqueeze(1) * torch.ones_like(theta)
    penalty[:, -1] = 0
    total = problem.weights.sum(0).clamp(min=1e-300)
    logits = problem.logits(theta)
    slope = problem.gradient(logits) + penalty * theta
    past: deque[tuple[torch.Tensor, torch.Tensor]] = deque(maxlen=_MEMORY)
    steps, norm = 0, _norms(slope, total, solved)
    while bool((norm > tolerance).any()) and steps < MOST_STEPS:
        step = -_direction(slope, past)
        step[norm <= tolerance] = 0
        along = problem.logits(step)
        linear, square = ((penalty * other * step).sum(1) for other in (theta, step))
        length = _Line(problem, logits, along, linear, square).lowest()
        moved = length.unsqueeze(1) * step
        theta, logits = theta + moved, logits + length * along
        before, slope = slope, problem.gradient(logits) + penalty * theta
        past.append((moved, slope - before))
        norm = _norms(slope, total, solved)
        steps += 1
    return Solution(theta, steps, float(norm.max()))


def solvable(problem: Problem) -> torch.Tensor:
    """Bool (C,): whether a class has both positives and negatives."""
    return torch.stack([one > 0 for one in _counts(problem)]).all(0)


def _log_odds(problem: Problem) -> torch.Tensor:
    positives, negatives = _counts(problem)
    return torch.log((positives + 0.5) / (negatives + 0.5))


def _counts(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights of the positives and of the negatives of every class, float64 (C,)."""
    kinds = [((problem.signs == sign) * problem.weights).sum(0) for sign in (1, -1)]
    return kinds[0], kinds[1]


def _norms(slope: torch.Tensor, total: torch.Tensor, solved: torch.Tensor) -> torch.Tensor:
    return torch.where(solved, slope.norm(dim=1) / total, 0.0)


def _direction(
    slope: torch.Tensor, past: Sequence[tuple[torch.Tensor, torch.Tensor]]
) -> torch.Tensor:
    """The inverse Hessian's estimate times the slope, (C, F + 1): the two-loop recursion."""
    found, kept = slope.clone(), []
    for moved, changed in reversed(past):
        curve = (moved * changed).sum(1)
        # a class that has ended does not move: its pairs say nothing
        inverse = torch.where(curve > 0, 1 / curve, 0.0)
        share = inverse * (moved * found).sum(1)
        found -= share.unsqueeze(1) * changed
        kept.append((moved, changed, inverse, share))
    if past:
        moved, changed = past[-1]
        curve, square = (moved * changed).sum(1), (changed * changed).sum(1)
        found *= torch.where(curve > 0, curve / square, 1.0).unsqueeze(1)
    for moved, changed, inverse, share in reversed(kept):
        back = inverse * (changed * found).sum(1)
        found += (share - back).unsqueeze(1) * moved
    return found


@dataclass(frozen=True, slots=True)
class _Line:
    """The regularized loss of every class along its step, which is convex.

    Attributes:
        problem: images.
        logits: float64 (N, C), at the start.
        along: float64 (N, C), their change by a whole step.
        linear: float64 (C,), with `square` the penalty at length t: linear t + square t^2 / 2.
        square: float64 (C,).
    """

    problem: Problem
    logits: torch.Tensor
    along: torch.Tensor
    linear: torch.Tensor
    square: torch.Tensor

    def slope(self, at: torch.Tensor) -> torch.Tensor:
        """float64 (C,): the derivative at lengths (C,)."""
        of_loss = self.problem.slopes(self.logits + at * self.along) * self.along
        return of_loss.sum(0) + self.linear + at * self.square

    def curvature(self, at: torch.Tensor) -> torch.Tensor:
        """float64 (C,): the second derivative at lengths (C,)."""
        share = torch.sigmoid(self.logits + at * self.along)
        each = self.problem.weights * share * (1 - share) * self.along * self.along
        return each.sum(0) + self.square

    def lowest(self) -> torch.Tensor:
        """float64 (C,): lengths close to the minimum, by Newton's method inside a bracket."""
        at = torch.ones_like(self.linear)
        low, high = torch.zeros_like(at), torch.full_like(at, torch.inf)
        enough = _LINE * self.slope(low).abs()
        for _ in range(_MOST_TRIALS):
            slope = self.slope(at)
            done = slope.abs() <= enough
            if bool(done.all()):
                break
            low, high = torch.where(slope < 0, at, low), torch.where(slope < 0, high, at)
            newton = at - slope / self.curvature(at).clamp(min=1e-300)
            middle = torch.where(high.isinf(), 2 * at, (low + high) / 2)
            moved = torch.where((newton > low) & (newton < high), newton, middle)
            at = torch.where(done, at, moved)
        return at
