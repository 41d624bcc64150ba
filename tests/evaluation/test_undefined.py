"""Where a figure divides by nothing: scikit-learn's answer, or the reason for another."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.exceptions
import sklearn.metrics
import torch
import torchmetrics.functional.classification as tm

from vocscore.evaluation.metrics import report

CASES = {
    "a class without positives": ([[1, 0], [0, 0], [1, 0]], [[1, 1], [0, 0], [1, 0]]),
    "a class without predictions": ([[1, 1], [0, 1], [1, 0]], [[1, 0], [0, 0], [1, 0]]),
    "a class with neither": ([[1, 0], [0, 0], [1, 0]], [[1, 0], [0, 0], [1, 0]]),
    "an image without labels": ([[1, 1], [0, 0], [1, 0]], [[1, 0], [1, 1], [1, 0]]),
    "an image without predictions": ([[1, 1], [0, 1], [1, 0]], [[1, 0], [0, 0], [1, 1]]),
    "an image with neither": ([[1, 1], [0, 0], [1, 0]], [[1, 0], [0, 0], [1, 1]]),
    "nothing anywhere": ([[0, 0], [0, 0]], [[0, 0], [0, 0]]),
    "nothing predicted": ([[1, 1], [1, 0]], [[0, 0], [0, 0]]),
    "everything wrong": ([[1, 0], [0, 1]], [[0, 1], [1, 0]]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("average", ["samples", "micro", "macro", None])
def test_zero_by_zero_is_what_scikit_learn_makes_of_it(case: str, average: str | None) -> None:
    """IoU, precision, recall and F1 are scikit-learn's with its own answer to 0/0, which is 0."""
    truth, guess = (np.array(table) for table in CASES[case])
    got = report(truth.astype(np.int8), guess.astype(np.float64), threshold=0.5)
    mine: Any = got.per_class if average is None else getattr(got, average)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sklearn.exceptions.UndefinedMetricWarning)
        iou = sklearn.metrics.jaccard_score(truth, guess, average=average)
        others = sklearn.metrics.precision_recall_fscore_support(truth, guess, average=average)
    for found, expected in zip(
        (mine.iou, mine.precision, mine.recall, mine.f1), (iou, *others[:3]), strict=True
    ):
        assert found == pytest.approx(expected)


def test_average_precision_without_positives_is_not_defined() -> None:
    """Recall is 0/0. scikit-learn warns that it sets it to 1, and says 0; here it is nan."""
    labels = np.array([[0], [0], [0]], np.int8)
    probabilities = np.array([[0.9], [0.5], [0.1]])
    got = report(labels, probabilities, threshold=0.5)
    assert math.isnan(got.average_precision[0])
    assert math.isnan(got.average_precision_voc2007[0])
    assert math.isnan(got.average_precision_voc2010[0])
    with pytest.warns(UserWarning, match="No positive class found"):
        assert sklearn.metrics.average_precision_score(labels, probabilities) == 0


def test_the_mean_is_of_the_classes_that_scikit_learn_has_no_warning_for() -> None:
    """Ours times the share of classes with positives is scikit-learn's mean, and torchmetrics'."""
    labels = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 0]], np.int8)
    probabilities = np.array([[0.9, 0.5, 0.3], [0.8, 0.4, 0.6], [0.1, 0.2, 0.7]], np.float32)
    got = report(labels, probabilities, threshold=0.5).mean_average_precision
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = tm.multilabel_average_precision(
            torch.from_numpy(probabilities), torch.from_numpy(labels).long(), num_labels=3
        )
        learns = sklearn.metrics.average_precision_score(labels, probabilities)
    assert got == sklearn.metrics.average_precision_score(
        labels[:, [0, 2]], probabilities[:, [0, 2]]
    )
    assert got * 2 / 3 == pytest.approx(learns)
    assert got * 2 / 3 == pytest.approx(float(theirs))


def test_average_precision_where_all_are_positive_is_one() -> None:
    """Without a negative every ranking is right, for scikit-learn too."""
    labels, probabilities = np.ones((3, 1), np.int8), np.array([[0.2], [0.1], [0.0]])
    got = report(labels, probabilities, threshold=0.5)
    assert got.average_precision[0] == 1
    assert got.average_precision[0] == sklearn.metrics.average_precision_score(
        labels, probabilities
    )
    assert got.average_precision_voc2007[0] == pytest.approx(1)
    assert got.average_precision_voc2010[0] == 1


def test_all_difficult_labels_are_as_if_there_were_none() -> None:
    """Nothing counts: 0 for what divides counts, nan for average precision and chance."""
    got = report(np.full((3, 2), -1, np.int8), np.full((3, 2), 0.9), threshold=0.5)
    assert (got.samples.f1, got.micro.precision, got.macro.iou) == (0, 0, 0)
    assert math.isnan(got.mean_average_precision)
    assert math.isnan(got.chance)
