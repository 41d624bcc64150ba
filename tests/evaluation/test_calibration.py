"""Temperature and calibration error beside torchmetrics, scikit-learn and a search by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import sklearn.calibration
import sklearn.metrics
import torch
import torchmetrics.functional.classification as tm
from drawn_tables import draw
from scipy.special import expit
from scipy.stats import binomtest

from vocscore.evaluation.calibration import fit_temperature, reliability, wilson_interval


def told(temperature: float, *, seed: int = 0, decisions: int = 40_000) -> tuple:
    """Labels that come true as often as the logits over this temperature say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 3, (decisions // 4, 4))
    labels = (rng.random(logits.shape) < expit(logits / temperature)).astype(np.int8)
    return labels, logits


def cross_entropy(labels: np.ndarray, logits: np.ndarray, temperature: float) -> float:
    """scikit-learn's log loss of the decisions that count."""
    counts = labels >= 0
    return sklearn.metrics.log_loss(labels[counts], expit(logits[counts] / temperature))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_drawn_labels_is_found(temperature: float) -> None:
    """Labels drawn from logits over a temperature give that temperature back."""
    assert fit_temperature(*told(temperature)) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_temperature_has_less_cross_entropy(seed: int) -> None:
    """A search over 400 temperatures finds none better."""
    labels, _ = draw(seed)
    logits = np.random.default_rng(seed).normal(-3, 3, labels.shape) + 5 * (labels == 1)
    found = fit_temperature(labels, logits)
    own = cross_entropy(labels, logits, found)
    others = [cross_entropy(labels, logits, t) for t in np.geomspace(0.1, 10, 400)]
    assert own <= min(others) + 1e-9
    assert 0.2 < found < 5  # not at a limit


def test_ignored_labels_have_no_say() -> None:
    """Whatever the logit of an ignored label, the temperature stays."""
    labels, logits = told(2, decisions=400)
    labels[::3] = -1
    before = fit_temperature(labels, logits)
    logits[labels == -1] = 50
    assert fit_temperature(labels, logits) == before


def test_a_calibrated_table_has_less_error() -> None:
    """Logits that are twice too large: with the temperature the error is near nothing."""
    labels, logits = told(2.0)
    before, after = (
        reliability(labels, expit(logits / t)).expected_calibration_error
        for t in (1.0, fit_temperature(labels, logits))
    )
    assert before > 0.05
    assert after < 0.01


@pytest.mark.parametrize("value", [-1, 0, 1])
def test_labels_of_one_kind_leave_the_temperature_alone(value: int) -> None:
    """Without a positive, without a negative, or without anything: 1."""
    assert fit_temperature(np.full((5, 2), value, np.int8), np.ones((5, 2))) == 1


def test_a_perfect_model_gets_the_lowest_temperature_and_no_lower() -> None:
    """A set that is parted without an error asks for 0; the limit is 1/10."""
    labels = np.array([[1], [0]], np.int8)
    assert fit_temperature(labels, np.array([[3.0], [-3.0]])) == pytest.approx(0.1, rel=1e-3)


def test_extreme_logits_do_not_overflow() -> None:
    """Logits of 10,000, wrong ones too, give a finite temperature and no warning."""
    labels = np.array([[1], [0], [1]], np.int8)
    found = fit_temperature(labels, np.array([[1e4], [1e4], [-1e4]]))
    assert found == pytest.approx(10, rel=1e-3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bins", [5, 15])
def test_the_error_is_torchmetrics(seed: int, bins: int) -> None:
    """The binary calibration error of torchmetrics, over all decisions, ignoring -1."""
    labels, probabilities = draw(seed)
    got = reliability(labels, probabilities, bins=bins).expected_calibration_error
    expected = tm.binary_calibration_error(
        torch.from_numpy(probabilities.astype(np.float64)).flatten(),
        torch.from_numpy(labels).long().flatten(),
        n_bins=bins,
        norm="l1",
        ignore_index=-1,
    )
    assert got == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("seed", [0, 2])
def test_the_bins_are_scikit_learns(seed: int) -> None:
    """Means and shares of the bins that are not empty are those of calibration_curve."""
    labels, probabilities = draw(seed)
    got = reliability(labels, probabilities, bins=10)
    counts = labels >= 0
    shares, means = sklearn.calibration.calibration_curve(
        labels[counts], probabilities[counts], n_bins=10
    )
    used = got.decisions > 0
    assert got.share_present[used] == pytest.approx(shares)
    assert got.mean_probability[used] == pytest.approx(means)
    assert got.decisions.sum() == counts.sum()


def test_both_ends_lie_in_a_bin() -> None:
    """0 is in the first bin and 1 in the last; an edge belongs to the bin above."""
    labels = np.array([[0, 1, 1, 0]], np.int8)
    got = reliability(labels, np.array([[0.0, 1.0, 0.5, 0.25]]), bins=4)
    assert got.decisions.tolist() == [1, 1, 1, 1]
    assert got.expected_calibration_error == pytest.approx((0 + 0.25 + 0.5 + 0) / 4)


def test_without_decisions_there_is_no_error_to_tell() -> None:
    """All difficult: the error is nan, and the JSON has null for empty bins."""
    got = reliability(np.full((2, 2), -1, np.int8), np.zeros((2, 2)), bins=2)
    assert math.isnan(got.expected_calibration_error)
    assert json.loads(json.dumps(got.to_json(), allow_nan=False)) == {
        "edges": [0, 0.5, 1],
        "decisions": [0, 0],
        "mean_probability": [None, None],
        "share_present": [None, None],
    }


@pytest.mark.parametrize("level", [0.68, 0.95, 0.99])
def test_the_interval_of_a_share_is_scipys(level: float) -> None:
    """Every count of hits in 1 to 40 trials, and a large one: SciPy's Wilson interval."""
    pairs = [
        (hits, total) for total in (*range(1, 41), 10**6) for hits in range(min(total, 40) + 1)
    ]
    hits, total = np.array(pairs).T
    found = wilson_interval(hits / total, total, level=level)
    for pair, (k, n) in zip(found, pairs, strict=True):
        expected = binomtest(k, n).proportion_ci(confidence_level=level, method="wilson")
        np.testing.assert_allclose(pair, expected, atol=1e-12)


def test_an_empty_bin_has_no_interval() -> None:
    """Without a decision it is nan, and no warning is given; the others have theirs."""
    found = reliability(np.int8([[1, 0, -1]]), np.float32([[0.95, 0.97, 0.5]]))
    with np.errstate(all="raise"):
        interval = found.share_interval
    assert np.isnan(interval[found.decisions == 0]).all()
    expected = binomtest(1, 2).proportion_ci(method="wilson")
    np.testing.assert_allclose(interval[found.decisions == 2], [expected])
