"""A sorted class gives at each threshold what scikit-learn gives."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    f1_score,
    jaccard_score,
    precision_recall_curve,
    precision_score,
    recall_score,
)

from vocscore.columns.curve import ClassCurve


@pytest.fixture(params=range(6))
def case(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many equal ones, and labels."""
    generator = np.random.default_rng(request.param)
    scores = generator.random(80).astype(np.float32)
    scores = np.round(scores, 1 + request.param % 3).astype(np.float32)
    return scores, generator.random(80) < 0.1 + 0.15 * request.param


def test_counts_at_every_threshold(case: tuple[np.ndarray, np.ndarray]) -> None:
    """Counts, precision, recall, F1 and IoU; at scores, between them, and beyond."""
    scores, present = case
    curve = ClassCurve(scores, present)
    for threshold in [0.0, 1.0, 2.0, 0.05, *np.unique(scores).tolist()]:
        guess = scores >= np.float32(threshold)
        counts = curve.at(threshold)
        tn, fp, fn, tp = confusion_matrix(present, guess, labels=[False, True]).ravel()
        assert (counts.true_negatives, counts.false_positives) == (tn, fp)
        assert (counts.false_negatives, counts.true_positives) == (fn, tp)
        assert curve.predicted(threshold) == guess.sum()
        assert counts.precision == pytest.approx(precision_score(present, guess, zero_division=0))
        assert counts.recall == pytest.approx(recall_score(present, guess, zero_division=0))
        assert counts.f1 == pytest.approx(f1_score(present, guess, zero_division=0))
        assert counts.iou == pytest.approx(jaccard_score(present, guess, zero_division=0))


def test_best_thresholds(case: tuple[np.ndarray, np.ndarray]) -> None:
    """No threshold has a greater F1; none of the precision has a greater recall."""
    scores, present = case
    curve = ClassCurve(scores, present)
    every = np.unique(scores).tolist()
    best = curve.best_f1()
    assert best is not None
    assert curve.at(best).f1 == pytest.approx(max(curve.at(t).f1 for t in every))
    for precision in (0.2, 0.5, 0.9):
        found = curve.at_precision(precision)
        recalls = [curve.at(t).recall for t in every if curve.at(t).precision >= precision]
        recalls = [recall for recall in recalls if recall > 0]
        if found is None:
            assert not recalls
        else:
            assert curve.at(found).precision >= precision
            assert curve.at(found).recall == pytest.approx(max(recalls))


def test_curve_and_area(case: tuple[np.ndarray, np.ndarray]) -> None:
    """The points are scikit-learn's; thinned, they are some of these."""
    scores, present = case
    curve = ClassCurve(scores, present)
    assert curve.average_precision == pytest.approx(average_precision_score(present, scores))
    thresholds, precision, recall = curve.points()
    want = precision_recall_curve(present, scores)
    np.testing.assert_allclose(precision[::-1], want[0][:-1])
    np.testing.assert_allclose(recall[::-1], want[1][:-1])
    np.testing.assert_allclose(thresholds[::-1], want[2])
    few = curve.points(4)
    assert (few[2][-1], few[1][-1]) == (1, pytest.approx(present.mean()))  # everything predicted
    assert len(few[0]) <= 4
    assert set(few[2].tolist()) <= set(recall.tolist())


def test_histogram_counts_every_row(case: tuple[np.ndarray, np.ndarray]) -> None:
    """Present and absent, each in its bin."""
    scores, present = case
    edges, with_class, without = ClassCurve(scores, present).histogram(10)
    np.testing.assert_array_equal(with_class, np.histogram(scores[present], edges)[0])
    assert with_class.sum() + without.sum() == len(scores)


def test_without_labels_only_predictions_are_counted() -> None:
    """No positives, no best threshold, no curve."""
    curve = ClassCurve(np.array([0.2, 0.9, 0.5], np.float32), None)
    assert not curve.labeled
    assert [curve.predicted(t) for t in (0.1, 0.5, 0.95)] == [3, 2, 0]
    assert curve.best_f1() is None
    assert curve.at_precision(0.5) is None
    assert np.isnan(curve.average_precision)
    assert all(len(part) == 0 for part in curve.points())


@pytest.mark.parametrize("present", [[], [False], [True]])
def test_tiny_classes(present: list[bool]) -> None:
    """No row, and one."""
    curve = ClassCurve(np.full(len(present), 0.3, np.float32), np.array(present, np.bool_))
    assert curve.at(0.3).true_positives == sum(present)
    assert curve.at(0.31).false_negatives == sum(present)
    if present == [True]:
        assert curve.best_f1() is not None
        assert curve.at(curve.best_f1()).f1 == 1


def test_thresholds_are_short_and_separate_neighbors() -> None:
    """A number between two scores, with as few digits as tell them apart."""
    scores = np.array([0.9, 0.5000001, 0.5], np.float32)
    curve = ClassCurve(scores, np.array([True, True, False]))
    best = curve.best_f1()
    assert best is not None
    assert curve.at(best).f1 == 1
    assert curve.at_precision(1.0) == best
    assert ClassCurve(scores, np.array([True, False, False])).best_f1() == 0.7
