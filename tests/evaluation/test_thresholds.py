"""Thresholds of the classes, beside an exhaustive search by scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import sklearn.metrics
from drawn_tables import draw

from vocscore.errors import EvalError
from vocscore.evaluation.thresholds import ThresholdRule, fit_thresholds, parse_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

F1 = ThresholdRule("f1")


class Choice(NamedTuple):
    """What a threshold makes of a class."""

    f1: float
    precision: float
    recall: float


def choose(truth: NDArray[np.int8], values: NDArray[np.float32], threshold: object) -> Choice:
    """Count hits; the definitions, without a library's checks, for thousands of thresholds."""
    guess = values >= threshold
    hits, predicted, positives = (guess & (truth == 1)).sum(), guess.sum(), (truth == 1).sum()
    return Choice(2 * hits / (predicted + positives), hits / max(predicted, 1), hits / positives)


def columns(seed: int) -> Iterator[tuple[int, NDArray[np.int8], NDArray[np.float32]]]:
    """The classes with positives, without the images that do not count."""
    labels, probabilities = draw(seed)
    for c in np.flatnonzero((labels == 1).any(0)):
        counts = labels[:, c] >= 0
        yield int(c), labels[counts, c], probabilities[counts, c]


@pytest.mark.parametrize("seed", range(6))
def test_f1_is_the_best_of_all_thresholds(seed: int) -> None:
    """No threshold gives any class a better F1 than the fitted one."""
    found = fit_thresholds(*draw(seed), rule=F1, fixed=0.5)
    for c, truth, values in columns(seed):
        own = choose(truth, values, np.float32(found.values[c]))
        assert own.f1 == max(choose(truth, values, t).f1 for t in np.unique(values))
        guess = values >= np.float32(found.values[c])
        assert own.f1 == pytest.approx(sklearn.metrics.f1_score(truth, guess))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("least", [0.3, 0.6, 0.9])
def test_precision_is_kept_with_the_highest_recall(seed: int, least: float) -> None:
    """The class is as precise as asked, and no threshold that is has a higher recall."""
    rule = ThresholdRule("precision", least)
    found = fit_thresholds(*draw(seed), rule=rule, fixed=0.5)
    for c, truth, values in columns(seed):
        choices = [choose(truth, values, t) for t in np.unique(values)]
        recalls = [choice.recall for choice in choices if choice.precision >= least]
        own = choose(truth, values, np.float32(found.values[c]))
        assert (c in found.unreached) == (not recalls)
        if recalls:
            assert own.precision >= least
            assert own.recall == max(recalls)
        else:
            assert found.values[c] == 2


def test_a_precision_out_of_reach_predicts_nothing() -> None:
    """A class that is never as precise as asked gets a threshold that not even 1 reaches."""
    labels = np.array([[0, 1], [1, 0], [1, 0]], np.int8)
    probabilities = np.array([[1.0, 0.9], [0.8, 0.2], [0.7, 0.1]])
    found = fit_thresholds(labels, probabilities, rule=ThresholdRule("precision", 0.9), fixed=0.5)
    assert found.values[0] > 1
    assert found.values[1] == 0.55
    assert found.unreached == (0,)


def test_the_value_lies_half_way_to_the_next_image() -> None:
    """Between 0.8 and 0.4 the threshold is 0.6; the lowest image's own where none comes after."""
    labels = np.array([[1, 1], [0, 1]], np.int8)
    probabilities = np.array([[0.8, 0.8], [0.4, 0.4]], np.float32)
    found = fit_thresholds(labels, probabilities, rule=F1, fixed=0.5)
    assert found.values == (0.6, 0.4)


def test_neighbors_of_the_last_bit_are_parted() -> None:
    """Where no number of few digits lies between two float32, the upper one itself is taken."""
    lower = np.float32(0.3)  # what the middle of the two would be rounded to
    upper = np.nextafter(lower, np.float32(1))
    labels = np.array([[1], [0]], np.int8)
    found = fit_thresholds(labels, np.array([[upper], [lower]]), rule=F1, fixed=0.5)
    assert np.float32(found.values[0]) == upper


def test_of_equal_f1_the_highest_threshold_is_taken() -> None:
    """Predicting one of two positives or both with two errors is 2/3 twice: one is predicted."""
    labels = np.array([[1], [0], [0], [1]], np.int8)
    probabilities = np.array([[0.8], [0.6], [0.4], [0.2]])
    found = fit_thresholds(labels, probabilities, rule=F1, fixed=0.5)
    assert found.values == (0.7,)


def test_without_positives_the_fixed_threshold_stays() -> None:
    """A class without a positive, or only ever difficult, has nothing to fit and is named."""
    labels, probabilities = draw(0)
    found = fit_thresholds(labels, probabilities, rule=F1, fixed=0.35)
    assert found.without_positives == (5, 6)
    assert found.values[5:] == (0.35, 0.35)


def test_ignored_labels_do_not_count() -> None:
    """Whatever the probability of an ignored label, the thresholds stay."""
    labels, probabilities = draw(2)
    before = fit_thresholds(labels, probabilities, rule=F1, fixed=0.5)
    probabilities[labels == -1] = 0.99
    assert fit_thresholds(labels, probabilities, rule=F1, fixed=0.5) == before


def test_fixed_fits_nothing() -> None:
    """With 'fixed' every class keeps the one threshold, positives or not."""
    labels, probabilities = draw(2)
    found = fit_thresholds(labels, probabilities, rule=parse_rule("fixed"), fixed=0.4)
    assert found.values == (0.4,) * 7
    assert found.without_positives == found.unreached == ()


def test_rules_are_read() -> None:
    """The three ways to write a rule."""
    assert parse_rule("fixed") == ThresholdRule("fixed")
    assert parse_rule("f1") == ThresholdRule("f1")
    assert parse_rule("precision=0.9") == ThresholdRule("precision", 0.9)
    assert parse_rule("precision=1") == ThresholdRule("precision", 1.0)


@pytest.mark.parametrize(
    "text",
    ["", "F1", "f2", "precision", "precision=", "precision=0", "precision=1.1", "precision=nan"],
)
def test_other_rules_are_refused(text: str) -> None:
    """What is no rule ends in a line that lists them."""
    with pytest.raises(EvalError, match="not one of fixed, f1, precision"):
        parse_rule(text)
