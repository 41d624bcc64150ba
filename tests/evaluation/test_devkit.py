"""Average precision beside a twin of the VOC devkit's programs, statement by statement."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from drawn_tables import draw

from shards.classes import VOC_CLASSES
from shards.reader import load_split
from vocscore.evaluation.metrics import report

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def cumsum(values: list[int]) -> list[int]:
    return [sum(values[: i + 1]) for i in range(len(values))]


def devkit_curve(gt: list[int], out: list[float]) -> tuple[list[float], list[float]]:
    """VOCevalcls.m up to precision and recall; MATLAB's 0/0 is nan.

        [so,si]=sort(-out);
        tp=gt(si)>0;  fp=gt(si)<0;
        fp=cumsum(fp);  tp=cumsum(tp);
        rec=tp/sum(gt>0);  prec=tp./(fp+tp);

    Args:
        gt: 1 present, -1 absent, 0 difficult, as in the lists of ImageSets/Main.
        out: confidences.
    """
    si = sorted(range(len(out)), key=lambda i: -out[i])
    tp = cumsum([int(gt[i] > 0) for i in si])
    fp = cumsum([int(gt[i] < 0) for i in si])
    positives = sum(1 for g in gt if g > 0)
    rec = [t / positives if positives else math.nan for t in tp]
    prec = [t / (f + t) if f + t else math.nan for t, f in zip(tp, fp, strict=True)]
    return rec, prec


def highest(values: list[float]) -> float:
    """MATLAB's max, which passes over nan."""
    real = [value for value in values if not math.isnan(value)]
    return max(real) if real else math.nan


def devkit_2007(gt: list[int], out: list[float]) -> float:
    """VOCevalcls.m of 2007, average precision.

    for t=0:0.1:1
        p=max(prec(rec>=t));
        if isempty(p)  p=0;  end
        ap=ap+p/11;
    end
    """
    rec, prec = devkit_curve(gt, out)
    ap = 0.0
    for tenth in range(11):
        reached = [p for r, p in zip(rec, prec, strict=True) if r >= tenth / 10]
        ap += (highest(reached) if reached else 0) / 11
    return ap


def devkit_2010(gt: list[int], out: list[float]) -> float:
    """VOCap.m of 2010.

    mrec=[0 ; rec ; 1];  mpre=[0 ; prec ; 0];
    for i=numel(mpre)-1:-1:1  mpre(i)=max(mpre(i),mpre(i+1));  end
    i=find(mrec(2:end)~=mrec(1:end-1))+1;
    ap=sum((mrec(i)-mrec(i-1)).*mpre(i));
    """
    rec, prec = devkit_curve(gt, out)
    mrec, mpre = [0.0, *rec, 1.0], [0.0, *prec, 0.0]
    for i in reversed(range(len(mpre) - 1)):
        mpre[i] = highest([mpre[i], mpre[i + 1]])
    steps = [i for i in range(1, len(mrec)) if mrec[i] != mrec[i - 1]]
    return sum((mrec[i] - mrec[i - 1]) * mpre[i] for i in steps)


def all_points(gt: list[int], out: list[float]) -> float:
    """The sum without an envelope: precision at each positive, averaged."""
    rec, prec = devkit_curve(gt, out)
    before = [0.0, *rec[:-1]]
    return sum((r - b) * p for r, b, p in zip(rec, before, prec, strict=True) if r > b)


TWINS = {
    "average_precision": all_points,
    "average_precision_voc2007": devkit_2007,
    "average_precision_voc2010": devkit_2010,
}


def as_devkit(labels: NDArray[np.int8]) -> list[int]:
    """1, -1 and 0 for 1, 0 and -1."""
    return [{1: 1, 0: -1, -1: 0}[int(label)] for label in labels]


@pytest.mark.parametrize("seed", range(0, 40, 2))
@pytest.mark.parametrize("figure", TWINS)
def test_average_precision_is_the_devkits(seed: int, figure: str) -> None:
    """Without ties every class has the devkit's figure, from 1 to 60 images."""
    rng = np.random.default_rng(seed)
    labels, probabilities = draw(seed, images=8 + int(rng.integers(1, 61)), ignored=0.2)
    labels, probabilities = labels[8:], probabilities[8:]
    assert len(np.unique(probabilities)) == probabilities.size
    got = getattr(report(labels, probabilities, threshold=0.5), figure)
    for c in range(labels.shape[1]):
        if (labels[:, c] == 1).any():
            twin = TWINS[figure](as_devkit(labels[:, c]), probabilities[:, c].tolist())
            assert got[c] == pytest.approx(twin, abs=1e-12)
        else:
            assert math.isnan(got[c])


@pytest.mark.parametrize("figure", TWINS)
def test_a_difficult_image_ranked_first_changes_nothing(figure: str) -> None:
    """The devkit's precision is 0/0 there, and its max passes over it; here it is not ranked."""
    labels = np.array([[-1], [1], [0], [1], [-1]], dtype=np.int8)
    probabilities = np.array([[0.9], [0.8], [0.7], [0.6], [0.5]])
    got = getattr(report(labels, probabilities, threshold=0.5), figure)[0]
    assert got == pytest.approx(TWINS[figure](as_devkit(labels[:, 0]), [0.9, 0.8, 0.7, 0.6, 0.5]))
    without = report(labels[1:4], probabilities[1:4], threshold=0.5)
    assert got == getattr(without, figure)[0]


def test_packed_labels_give_the_devkits_figures_on_the_lists(packed: Path, voc_tree: Path) -> None:
    """From a VOC tree: the devkit reads its lists, this project its annotations; same figures."""
    split = load_split(packed, "train")
    keys = [image.name.removesuffix(".jpg").rpartition("/")[2] for image in split.images]
    guesses = np.random.default_rng(0).random(split.labels.shape)
    got = report(split.labels, guesses, threshold=0.5)
    compared = 0
    for c, name in enumerate(VOC_CLASSES):
        lines = (voc_tree / "ImageSets" / "Main" / f"{name}_train.txt").read_text().splitlines()
        marks = {key: int(mark) for key, mark in map(str.split, lines)}
        gt = [marks[key] for key in keys]
        if 1 in gt:
            twin = devkit_2007(gt, guesses[:, c].tolist())
            assert got.average_precision_voc2007[c] == pytest.approx(twin)
            compared += 0 in gt
    assert compared  # classes that have difficult images too
