"""Fits decision thresholds and calibration to the validation split of a trained model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import EvalError
from vocscore.evaluation.calibration import fit_temperature, reliability
from vocscore.evaluation.metrics import plain
from vocscore.evaluation.thresholds import fit_thresholds, parse_rule
from vocscore.models.probabilities import probabilities_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Decisions:
    """Values for the fields of the same name of a `ModelCard`, and facts about the fit.

    Attributes:
        rule: as given: 'fixed', 'f1' or 'precision=P'.
        thresholds: one per class, for probabilities after the temperature; None with 'fixed',
            where the card's single `threshold` applies to all.
        temperature: logits are divided by it before the sigmoid; 1 if not calibrated.
        without_positives: columns of classes without a positive in the validation split; they
            have the fixed threshold.
        unreached: columns of classes that cannot reach the required precision; their threshold
            is 2.
        error_before: expected calibration error with temperature 1; nan if no decision counts.
        error_after: with `temperature`. Fitted and measured on the same images.
    """

    rule: str
    thresholds: tuple[float, ...] | None
    temperature: float
    without_positives: tuple[int, ...]
    unreached: tuple[int, ...]
    error_before: float
    error_after: float

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """Convert to plain values; None for nan.

        Args:
            classes: the names, in column order.
        """
        fitted = self.thresholds
        return {
            "thresholds_rule": self.rule,
            "thresholds": None if fitted is None else dict(zip(classes, fitted, strict=True)),
            "without_positives": [classes[c] for c in self.without_positives],
            "unreached": [classes[c] for c in self.unreached],
            "temperature": self.temperature,
            "expected_calibration_error_before": plain(self.error_before),
            "expected_calibration_error_after": plain(self.error_after),
        }


def fit_decisions(
    labels: NDArray[np.int8],
    logits: NDArray[np.floating[Any]],
    *,
    thresholds: str,
    fixed: float,
    calibrate: bool,
) -> Decisions:
    """Fit thresholds and temperature on the validation split, after the last epoch.

    The temperature is fitted first; thresholds are fitted to the probabilities that `score`
    will write. Neither changes the ranking of images within a class, except that probabilities
    that float32 had rounded to 1 become distinct.

    Args:
        labels: int8, shape (N, C), after `apply_difficult`: 1 present, 0 absent, -1 ignored.
        logits: floating, shape (N, C), of the kept network.
        thresholds: 'fixed', 'f1' or 'precision=P'.
        fixed: the card's threshold; also that of classes without positives.
        calibrate: fit the temperature; else it is 1.

    Raises:
        EvalError: the rule is unknown, the shapes differ, or a logit is NaN or infinite.
    """
    rule = parse_rule(thresholds)
    if labels.shape != logits.shape or labels.ndim != 2:
        raise EvalError(
            f"labels {labels.shape} and logits {logits.shape} must both be (images, classes)."
        )
    if not np.isfinite(logits).all():
        raise EvalError(
            "a logit of the validation split is NaN or infinite: nothing can be fitted."
        )
    temperature = fit_temperature(labels, logits) if calibrate else 1.0
    logits = logits.astype(np.float64)
    probabilities = probabilities_of(logits, temperature=temperature)
    fitted = fit_thresholds(labels, probabilities, rule=rule, fixed=fixed)
    before = reliability(labels, probabilities_of(logits, temperature=1.0))
    after = reliability(labels, probabilities)
    return Decisions(
        rule=thresholds,
        thresholds=None if rule.kind == "fixed" else fitted.values,
        temperature=temperature,
        without_positives=fitted.without_positives,
        unreached=fitted.unreached,
        error_before=before.expected_calibration_error,
        error_after=after.expected_calibration_error,
    )
