"""A threshold per class, fitted on validation data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import EvalError
from vocscore.evaluation.ranking import rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.evaluation.ranking import Ranking

_NEVER = 2.0
"""Above every probability, unlike 1, to which float32 may round one."""
_PRECISION = "precision="


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """How the threshold of a class is chosen.

    Attributes:
        kind: 'fixed' (the same for all, nothing is fitted), 'f1' (the best F1 of the class), or
            'precision' (the most recall with at least this precision).
        precision: the minimum precision, above 0, up to 1; for the kind 'precision' only.
    """

    kind: str
    precision: float | None = None


def parse_rule(text: str) -> ThresholdRule:
    """Parse 'fixed', 'f1' or 'precision=P'.

    Raises:
        EvalError: it is none of them.
    """
    if text in ("fixed", "f1"):
        return ThresholdRule(text)
    if text.startswith(_PRECISION):
        try:
            precision = float(text.removeprefix(_PRECISION))
        except ValueError:
            precision = 0
        if 0 < precision <= 1:
            return ThresholdRule("precision", precision)
    raise EvalError(
        f"thresholds {text!r} is not one of fixed, f1, precision=P (P above 0, up to 1, such as "
        "precision=0.9)."
    )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The result of a fit.

    Attributes:
        values: one per class; as float32 it separates the same images.
        without_positives: columns of classes without a positive in the data; nothing can be
            fitted, and they keep the fixed threshold.
        unreached: columns of classes that reach the required precision at no threshold; theirs
            is 2, so that they are never predicted.
    """

    values: tuple[float, ...]
    without_positives: tuple[int, ...]
    unreached: tuple[int, ...]


def fit_thresholds(
    labels: NDArray[np.int8],
    probabilities: NDArray[np.floating[Any]],
    *,
    rule: ThresholdRule,
    fixed: float,
) -> Thresholds:
    """Fit one threshold per class.

    With 'f1', the highest threshold with the best F1 is chosen; with 'precision', the one with
    the highest recall among those precise enough, and of these the highest. The value is half-way
    between the last predicted image and the next, so that rounding decides neither.

    Args:
        labels: int8, shape (N, C): 1 present, 0 absent, -1 ignored. Validation data; on the
            images that they were fitted on, F1 and precision are too high.
        probabilities: floating, shape (N, C), 0 to 1.
        rule: with 'fixed' every class gets `fixed`.
        fixed: the threshold of a class without positives.
    """
    values, empty, unreached = [], [], []
    for c, column in enumerate(labels.T):
        ranking = rank(column, probabilities[:, c].astype(np.float32))
        step = None
        if rule.kind == "fixed":
            values.append(float(fixed))
        elif not ranking.positive.any():
            values.append(float(fixed))
            empty.append(c)
        elif (step := _choose(ranking, rule)) is None:
            values.append(_NEVER)
            unreached.append(c)
        else:
            values.append(_between(ranking, step))
    return Thresholds(tuple(values), tuple(empty), tuple(unreached))


def _choose(ranking: Ranking, rule: ThresholdRule) -> int | None:
    """The last step of the ranking to predict; None: precision not reached."""
    hits = np.cumsum(ranking.positive)[ranking.ends]
    predicted = ranking.ends + 1
    if rule.precision is None:
        return int(np.argmax(2 * hits / (predicted + hits[-1])))
    enough = hits / predicted >= rule.precision
    return int(np.argmax(np.where(enough, hits, -1))) if enough.any() else None


def _between(ranking: Ranking, step: int) -> float:
    """A number of few digits that this step reaches and the next does not."""
    reached = np.float32(ranking.probabilities[ranking.ends[step]])
    if step + 1 < len(ranking.ends):
        below = np.float32(ranking.probabilities[ranking.ends[step + 1]])
        middle = float(f"{(float(reached) + float(below)) / 2:.6g}")
        if below < np.float32(middle) <= reached:
            return middle
    return float(str(reached))  # the shortest text that reads back as this float32
