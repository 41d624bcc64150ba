"""Every figure beside an independent one: scikit-learn, torchmetrics, or a loop written plainly."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics.functional.classification as tm
from drawn_tables import draw

from vocscore.errors import EvalError
from vocscore.evaluation.metrics import Report, report

if TYPE_CHECKING:
    from numpy.typing import NDArray


def decisions(labels: NDArray[np.int8], probabilities: NDArray[np.float32]) -> Any:
    """Truth and prediction with every ignored cell set to 0."""
    return (labels == 1).astype(int), ((probabilities >= 0.5) & (labels != -1)).astype(int)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("average", ["samples", "micro", "macro"])
def test_averages_equal_scikit_learns(seed: int, average: str) -> None:
    """IoU, precision, recall and F1 are scikit-learn's, each way of averaging, with 0/0 as 0."""
    labels, probabilities = draw(seed)
    truth, guess = decisions(labels, probabilities)
    got = getattr(report(labels, probabilities, threshold=0.5), average)
    iou = sklearn.metrics.jaccard_score(truth, guess, average=average, zero_division=0)
    others = sklearn.metrics.precision_recall_fscore_support(
        truth, guess, average=average, zero_division=0
    )
    assert [got.iou, got.precision, got.recall, got.f1] == pytest.approx([iou, *others[:3]])


@pytest.mark.parametrize("seed", range(6))
def test_figures_of_a_class_equal_scikit_learns_on_the_cells_that_count(seed: int) -> None:
    """Each class's figures are scikit-learn's on its column with the ignored images removed."""
    labels, probabilities = draw(seed)
    got = report(labels, probabilities, threshold=0.5).per_class
    for c in range(labels.shape[1]):
        counts = labels[:, c] >= 0
        truth, guess = labels[counts, c], probabilities[counts, c] >= 0.5
        assert (got.positives[c], got.negatives[c]) == (truth.sum(), (truth == 0).sum())
        if not counts.any():
            assert (got.iou[c], got.precision[c], got.recall[c], got.f1[c]) == (0, 0, 0, 0)
            continue
        iou = sklearn.metrics.jaccard_score(truth, guess, zero_division=0)
        others = sklearn.metrics.precision_recall_fscore_support(
            truth, guess, average="binary", zero_division=0
        )
        assert [got.iou[c], got.precision[c], got.recall[c], got.f1[c]] == pytest.approx(
            [iou, *others[:3]]
        )


@pytest.mark.parametrize("seed", range(6))
def test_micro_figures_and_average_precision_equal_torchmetrics(seed: int) -> None:
    """torchmetrics, told to ignore -1, gives the same micro averages and average precisions."""
    labels, probabilities = draw(seed)
    got = report(labels, probabilities, threshold=0.5)
    given = torch.from_numpy(probabilities), torch.from_numpy(labels).long()
    told: dict[str, Any] = {"num_labels": labels.shape[1], "ignore_index": -1}
    # torchmetrics predicts above its threshold, this project from it on: step just below.
    micro = told | {
        "average": "micro",
        "threshold": float(np.nextafter(np.float32(0.5), np.float32(0))),
    }
    assert got.micro.precision == pytest.approx(float(tm.multilabel_precision(*given, **micro)))
    assert got.micro.recall == pytest.approx(float(tm.multilabel_recall(*given, **micro)))
    assert got.micro.f1 == pytest.approx(float(tm.multilabel_f1_score(*given, **micro)))
    defined = np.flatnonzero(got.per_class.positives)  # torchmetrics fails where nothing counts
    points = tm.multilabel_average_precision(
        given[0][:, defined],
        given[1][:, defined],
        num_labels=len(defined),
        average="none",
        thresholds=None,
        ignore_index=-1,
    )
    assert got.average_precision[defined] == pytest.approx(points.numpy(), abs=1e-6)


def test_eleven_points_by_hand() -> None:
    """Two positives ranked first and third give (6 x 1 + 5 x 2/3) / 11; the area is 5/6."""
    labels = np.array([[1], [0], [1], [0]], dtype=np.int8)
    got = report(labels, np.array([[0.9], [0.8], [0.7], [0.1]]), threshold=0.5)
    assert got.mean_average_precision_voc2007 == pytest.approx((6 + 5 * 2 / 3) / 11)
    assert got.mean_average_precision_voc2010 == pytest.approx(5 / 6)
    assert got.mean_average_precision == pytest.approx(5 / 6)


def test_no_point_is_added_at_recall_zero() -> None:
    """With the first image wrong and the second right, precision is 1/2 at all 11 recalls."""
    labels = np.array([[0], [1]], dtype=np.int8)
    got = report(labels, np.array([[0.9], [0.8]]), threshold=0.5)
    assert got.mean_average_precision_voc2007 == pytest.approx(0.5)
    assert got.mean_average_precision_voc2010 == pytest.approx(0.5)


@pytest.mark.parametrize("seed", [1, 3, 5])
def test_ties_do_not_depend_on_the_order_of_images(seed: int) -> None:
    """With tied probabilities, any order of the images gives the same figures, scikit-learn's."""
    labels, probabilities = draw(seed)
    assert len(np.unique(probabilities)) < probabilities.size / 5
    order = np.random.default_rng(seed).permutation(len(labels))
    names = [str(c) for c in range(labels.shape[1])]
    one = report(labels, probabilities, threshold=0.5)
    other = report(labels[order], probabilities[order], threshold=0.5)
    assert flat(one, names) == pytest.approx(flat(other, names))
    for c in np.flatnonzero(one.per_class.positives):
        counts = labels[:, c] >= 0
        assert one.average_precision[c] == pytest.approx(
            sklearn.metrics.average_precision_score(labels[counts, c], probabilities[counts, c])
        )


def flat(figures: Report, names: list[str]) -> list[float]:
    """Every number of a report, in a fixed order, without those that are not defined."""

    def numbers(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [n for key in sorted(value) for n in numbers(value[key])]
        return [] if value is None else [float(value)]

    return numbers(figures.to_json(names))


def test_an_ignored_label_weighs_nothing() -> None:
    """Whatever the probability where the label is -1, every figure stays the same."""
    labels, probabilities = draw(4)
    names = [str(c) for c in range(labels.shape[1])]
    before = flat(report(labels, probabilities, threshold=0.5), names)
    for extreme in (0.0, 1.0):
        probabilities[labels == -1] = extreme
        assert flat(report(labels, probabilities, threshold=0.5), names) == before


def test_a_tie_with_the_threshold_is_a_prediction() -> None:
    """A probability of exactly the threshold counts as predicted, in float32 as in float64."""
    labels = np.array([[1, 0]], dtype=np.int8)
    for kind in (np.float32, np.float64):
        got = report(labels, np.array([[0.3, 0.29]], dtype=kind), threshold=0.3)
        assert (got.samples.precision, got.samples.recall) == (1, 1)


def test_means_leave_out_classes_without_positives() -> None:
    """A class without positives has average precision nan and no part in the mean or in chance."""
    labels = np.array([[1, 0, -1], [0, 0, -1], [0, 0, 0], [0, 0, 0]], dtype=np.int8)
    got = report(labels, np.full((4, 3), 0.5), threshold=0.9)
    assert np.isnan(got.average_precision).tolist() == [False, True, True]
    assert got.mean_average_precision == pytest.approx(0.25)
    assert got.chance == pytest.approx(0.25)
    nothing = report(labels[1:], np.full((3, 3), 0.5), threshold=0.9)
    assert math.isnan(nothing.mean_average_precision)
    assert math.isnan(nothing.chance)


def test_guessing_approaches_chance() -> None:
    """The mAP of random probabilities lies near the chance that the report states."""
    rng = np.random.default_rng(0)
    labels = (rng.random((20_000, 4)) < [0.02, 0.05, 0.1, 0.4]).astype(np.int8)
    got = report(labels, rng.random(labels.shape), threshold=0.5)
    assert got.mean_average_precision == pytest.approx(got.chance, rel=0.05)


def test_one_class_and_one_image_are_enough() -> None:
    """A single class (for which scikit-learn's multi-label forms refuse to work) is scored."""
    got = report(np.array([[1]], dtype=np.int8), np.array([[0.7]]), threshold=0.5)
    assert (got.samples.f1, got.micro.iou, got.macro.recall) == (1, 1, 1)
    assert got.mean_average_precision_voc2007 == 1


def test_json_has_plain_numbers_and_none() -> None:
    """The JSON form is strict JSON: plain numbers, and null where a figure is not defined."""
    labels, probabilities = draw(2)
    figures = report(labels, probabilities, threshold=0.5)
    names = list("abcdefg")
    value = json.loads(json.dumps(figures.to_json(names), allow_nan=False))
    assert value["mean_average_precision"] == figures.mean_average_precision
    assert value["samples"]["iou"] == figures.samples.iou
    assert list(value["classes"]) == names
    assert value["classes"]["g"]["average_precision"] is None
    assert value["classes"]["a"]["average_precision"] == figures.average_precision[0]


@pytest.mark.parametrize(
    ("labels", "probabilities", "says"),
    [
        (np.zeros((3, 2)), np.zeros((3, 3)), r"\(3, 2\) and probabilities \(3, 3\)"),
        (np.zeros(3), np.zeros(3), "the same shape"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "at least one"),
        (np.full((1, 2), 2), np.zeros((1, 2)), "found 2 to 2"),
        (np.zeros((2, 2)), np.array([[0, 0], [0, np.nan]]), "row 1, class 1: nan"),
        (np.zeros((1, 2)), np.array([[0, 3.5]]), "row 0, class 1: 3.5 .* sigmoid"),
    ],
)
def test_what_cannot_be_compared_is_refused(labels: Any, probabilities: Any, says: str) -> None:
    """Other shapes, other labels, nan and logits end in an error that says what was found."""
    with pytest.raises(EvalError, match=says):
        report(labels.astype(np.int8), probabilities, threshold=0.5)


def test_an_epoch_of_voc_is_measured_in_a_blink() -> None:
    """5,000 images of 20 classes take well under half a second of processor time."""
    rng = np.random.default_rng(0)
    labels = (rng.random((5000, 20)) < 0.07).astype(np.int8)
    probabilities = rng.random(labels.shape, dtype=np.float32)
    report(labels, probabilities, threshold=0.5)
    started = time.process_time()
    report(labels, probabilities, threshold=0.5)
    assert time.process_time() - started < 0.5


def test_a_threshold_a_class_is_that_threshold_on_its_column() -> None:
    """With one threshold a class, each class's figures are those of a report with its threshold."""
    labels, probabilities = draw(3)
    thresholds = (0.1, 0.3, 0.3, 0.5, 0.62, 0.7, 0.9)
    got = report(labels, probabilities, threshold=thresholds)
    for c, threshold in enumerate(thresholds):
        alone = report(labels[:, [c]], probabilities[:, [c]], threshold=threshold)
        one = alone.per_class
        expected = (one.iou[0], one.precision[0], one.recall[0], one.f1[0])
        four = (got.per_class.iou, got.per_class.precision, got.per_class.recall, got.per_class.f1)
        assert tuple(figure[c] for figure in four) == expected
    assert got.to_json(list("abcdefg"))["threshold"] == dict(
        zip("abcdefg", thresholds, strict=True)
    )


def test_a_tie_with_the_threshold_of_a_class_is_a_prediction() -> None:
    """One threshold a class is compared in the table's own type, as one for all is."""
    probabilities = np.array([[0.7, 0.3, 0.1]], dtype=np.float32)
    got = report(np.ones((1, 3), np.int8), probabilities, threshold=(0.7, 0.3, 0.1))
    assert got.micro.recall == 1
