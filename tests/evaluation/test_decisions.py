"""What is fitted after training: temperature first, then thresholds of those probabilities."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from drawn_tables import draw

from vocscore.errors import EvalError
from vocscore.evaluation.calibration import fit_temperature, reliability
from vocscore.evaluation.decisions import fit_decisions
from vocscore.evaluation.metrics import report
from vocscore.evaluation.thresholds import fit_thresholds, parse_rule
from vocscore.models.probabilities import probabilities_of


def table(seed: int = 0) -> tuple[Any, Any]:
    """Labels, some ignored, two classes without positives, and logits 2.5 times too large."""
    labels, _ = draw(seed)
    rng = np.random.default_rng(seed)
    right = rng.normal(-1, 2, labels.shape)
    drawn = rng.random(labels.shape) < probabilities_of(right, temperature=1)
    labels[:, :5] = np.where(labels == -1, -1, drawn)[:, :5]
    return labels, (2.5 * right).astype(np.float32)


def test_thresholds_are_those_of_the_calibrated_probabilities() -> None:
    """They part the images after the temperature, as `score` will see them."""
    labels, logits = table()
    got = fit_decisions(labels, logits, thresholds="f1", fixed=0.5, calibrate=True)
    assert got.temperature == fit_temperature(labels, logits) != 1
    scored = torch.sigmoid(torch.from_numpy(logits) / got.temperature).numpy()
    assert got.thresholds is not None
    fitted = report(labels, scored, threshold=got.thresholds)
    fixed = report(labels, scored, threshold=0.5)
    assert (fitted.per_class.f1 >= fixed.per_class.f1).all()
    assert fitted.macro.f1 > fixed.macro.f1 + 0.01
    expected = fit_thresholds(labels, scored, rule=parse_rule("f1"), fixed=0.5)
    assert got.thresholds == pytest.approx(expected.values, abs=1e-6)


def test_calibration_changes_no_ranking_and_tells_the_error_before_and_after() -> None:
    """Average precision stays; the errors are those of the probabilities on either side."""
    labels, logits = table()
    got = fit_decisions(labels, logits, thresholds="fixed", fixed=0.5, calibrate=True)
    exact = logits.astype(np.float64)
    before, after = (probabilities_of(exact, temperature=t) for t in (1.0, got.temperature))
    assert got.error_before == reliability(labels, before).expected_calibration_error
    assert got.error_after == reliability(labels, after).expected_calibration_error
    assert got.error_after < got.error_before
    points = [report(labels, p, threshold=0.5).average_precision for p in (before, after)]
    assert points[0] == pytest.approx(points[1], nan_ok=True)


def test_nothing_asked_for_is_nothing_fitted() -> None:
    """'fixed' without calibration: no thresholds, temperature 1, one and the same error."""
    got = fit_decisions(*table(), thresholds="fixed", fixed=0.5, calibrate=False)
    assert (got.thresholds, got.temperature) == (None, 1)
    assert got.error_before == got.error_after


def test_the_json_names_the_classes() -> None:
    """Thresholds by name, and the classes that could not be fitted, in strict JSON."""
    got = fit_decisions(*table(), thresholds="precision=0.9", fixed=0.5, calibrate=True)
    assert got.thresholds is not None
    value = json.loads(json.dumps(got.to_json(list("abcdefg")), allow_nan=False))
    assert list(value["thresholds"].values()) == list(got.thresholds)
    assert value["without_positives"] == ["f", "g"]
    assert value["unreached"] == [list("abcdefg")[c] for c in got.unreached]
    assert value["expected_calibration_error_after"] == got.error_after


def test_all_difficult_labels_fit_nothing() -> None:
    """Nothing counts: the fixed threshold, temperature 1, and errors that are not defined."""
    labels = np.full((4, 2), -1, np.int8)
    got = fit_decisions(labels, np.zeros((4, 2)), thresholds="f1", fixed=0.3, calibrate=True)
    assert (got.thresholds, got.temperature) == ((0.3, 0.3), 1)
    value = got.to_json(["a", "b"])
    assert value["expected_calibration_error_before"] is None


@pytest.mark.parametrize(
    ("logits", "rule", "says"),
    [
        (np.zeros((2, 3)), "f1", r"\(2, 2\) and logits \(2, 3\)"),
        (np.full((2, 2), np.nan), "f1", "NaN or infinite"),
        (np.zeros((2, 2)), "best", "'best' is not one of fixed"),
    ],
)
def test_what_cannot_be_fitted_is_refused(logits: Any, rule: str, says: str) -> None:
    """Other shapes, nan and unknown rules end in a line that says so."""
    with pytest.raises(EvalError, match=says):
        fit_decisions(np.zeros((2, 2), np.int8), logits, thresholds=rule, fixed=0.5, calibrate=True)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_probabilities_are_torchs(temperature: float) -> None:
    """Logits over the temperature through torch's sigmoid, to float32's last digits."""
    logits = np.linspace(-100, 100, 2001, dtype=np.float32)
    expected = torch.sigmoid(torch.from_numpy(logits) / temperature).numpy()
    assert probabilities_of(logits, temperature=temperature) == pytest.approx(expected, rel=1e-5)
