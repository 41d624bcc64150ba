"""Intervals beside resamples taken one by one, and beside fresh draws of the world."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from drawn_tables import draw

from vocscore.evaluation import bootstrap as room
from vocscore.evaluation.bootstrap import POINTS, RATIOS, bootstrap
from vocscore.evaluation.metrics import Report, report

if TYPE_CHECKING:
    from numpy.typing import NDArray


def one_by_one(seed: int, *, images: int, resamples: int) -> tuple[room.Intervals, list[Report]]:
    """The intervals of a drawn table, and a report of each resample, rows repeated for real."""
    labels, probabilities = draw(seed, images=images)
    got = bootstrap(labels, probabilities, probabilities >= 0.5, resamples=resamples, seed=seed)
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, images, (resamples, images))
    return got, [report(labels[r], probabilities[r], threshold=0.5) for r in rows]


def percentiles(values: list[float]) -> list[float]:
    """2.5% and 97.5% of what is defined."""
    found: list[float] = np.nanpercentile(values, [2.5, 97.5]).tolist()
    return found


@pytest.mark.parametrize("seed", [0, 1])
def test_intervals_are_those_of_the_resamples_one_by_one(seed: int) -> None:
    """Every interval, ties included, is the percentile of full reports on repeated rows."""
    got, reports = one_by_one(seed, images=60, resamples=40)
    for kind, name in enumerate(POINTS):
        expected = percentiles([getattr(r, f"mean_{name}") for r in reports])
        assert got.mean_average_precision[kind] == pytest.approx(expected)
        for c in range(5):
            expected = percentiles([getattr(r, name)[c] for r in reports])
            assert got.average_precision[kind, c] == pytest.approx(expected)
    for average in ("samples", "micro", "macro"):
        for place, name in enumerate(RATIOS):
            expected = percentiles([getattr(getattr(r, average), name) for r in reports])
            assert getattr(got, average)[place] == pytest.approx(expected)


def test_a_class_that_some_resamples_lack_has_the_interval_of_the_others() -> None:
    """With one positive among 12 images, a third of the resamples have none: left out."""
    labels = np.zeros((12, 2), np.int8)
    labels[3, 0], labels[::2, 1] = 1, 1
    probabilities = np.random.default_rng(0).random((12, 2))
    got = bootstrap(labels, probabilities, probabilities >= 0.5, resamples=60, seed=3)
    rows = np.random.default_rng(3).integers(0, 12, (60, 12))
    reports = [report(labels[r], probabilities[r], threshold=0.5) for r in rows]
    for kind, name in enumerate(POINTS):
        values = [getattr(one, name)[0] for one in reports]
        assert 5 < sum(map(math.isnan, values)) < 55
        assert got.average_precision[kind, 0] == pytest.approx(percentiles(values))


def test_classes_that_are_never_there_have_no_interval() -> None:
    """Without a positive, average precision has none, in strict JSON null; the means have one."""
    labels, probabilities = draw(0)
    got = bootstrap(labels, probabilities, probabilities >= 0.5, resamples=20, seed=0)
    value = json.loads(json.dumps(got.to_json(list("abcdefg")), allow_nan=False))
    assert value["classes"]["g"]["average_precision"] == [None, None]
    low, high = value["mean_average_precision"]
    assert low < high
    labels[:] = 0
    nothing = bootstrap(labels, probabilities, probabilities >= 0.5, resamples=20, seed=0)
    assert np.isnan(nothing.mean_average_precision).all()
    assert nothing.micro.tolist() == [[0, 0]] * 4


def test_the_seed_decides_and_the_memory_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal seeds give equal intervals, in whatever portions they are made; another seed others."""
    labels, probabilities = draw(2)
    given = (labels, probabilities, probabilities >= 0.5)
    one, other = (bootstrap(*given, resamples=50, seed=seed) for seed in (7, 8))
    monkeypatch.setattr(room, "_NUMBERS_AT_ONCE", 700)
    again = bootstrap(*given, resamples=50, seed=7)
    assert again.samples == pytest.approx(one.samples)
    assert again.average_precision == pytest.approx(one.average_precision, nan_ok=True)
    assert not np.array_equal(other.micro, one.micro)


def world(generator: np.random.Generator) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """300 images of one and the same kind."""
    labels = (generator.random((300, 3)) < 0.3).astype(np.int8)
    return labels, 0.3 * labels + 0.7 * generator.random(labels.shape)


def test_an_interval_is_as_wide_as_other_images_make_the_figures_differ() -> None:
    """95% of fresh sets of images spread as far as the resamples of one set say."""
    generator = np.random.default_rng(0)
    fresh = [report(*world(generator), threshold=0.5) for _ in range(150)]
    sets = [world(generator) for _ in range(10)]
    made = [bootstrap(t, p, p >= 0.5, resamples=200, seed=0) for t, p in sets]
    figures = {
        "mAP": (
            [r.mean_average_precision for r in fresh],
            [i.mean_average_precision[0] for i in made],
        ),
        "F1": ([r.micro.f1 for r in fresh], [i.micro[3] for i in made]),
    }
    for values, intervals in figures.values():
        true = np.diff(percentiles(values))[0]
        said = np.mean([high - low for low, high in intervals])
        assert said == pytest.approx(true, rel=0.25)
