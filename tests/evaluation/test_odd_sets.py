"""`vocscore eval` on sets that leave figures without a meaning: an answer, and no warning."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from quick_packing import pack_quickly
from voc_truth import write

from shards.sample import AnnotatedSet, Sample
from vocscore.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CLASSES = ("cat", "dog")


def packed(root: Path, labels: Sequence[Any], classes: tuple[str, ...]) -> Path:
    """A set with one small image for each (present, difficult), all in the split 'val'."""
    samples = []
    for number, (present, difficult) in enumerate(labels):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(root / f"{number}.jpg")
        samples.append(Sample(f"{number}.jpg", present, difficult))
    annotated = AnnotatedSet(root, tuple(samples))
    splits = {"val": annotated.samples}
    return pack_quickly(annotated, splits, root / "shards", classes=classes, shard_samples=100)


def evaluated(root: Path, labels: Sequence[Any], classes: tuple[str, ...]) -> tuple[str, Any]:
    """The text and the JSON of the command, for probabilities that are drawn."""
    shards = packed(root, labels, classes)
    guesses = np.random.default_rng(0).random((len(labels), len(classes)), np.float32)
    names = [f"{number}.jpg" for number in range(len(labels))]
    file = write(root / "p.csv", names, guesses, classes=classes, predicted=guesses >= 0.5)
    words = ["eval", file, shards, "--json", root / "e.json", "--resamples", 20]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output, json.loads((root / "e.json").read_text(), parse_constant=pytest.fail)


def test_all_difficult(tmp_path: Path) -> None:
    """Nothing counts: '-' and null for AP and calibration, 0 for the rest."""
    nothing = [((), CLASSES)] * 3
    text, value = evaluated(tmp_path, nothing, CLASSES)
    assert "mAP - (-; chance -)" in text
    assert value["mean_average_precision"] is None
    assert value["intervals"]["mean_average_precision"] == [None, None]
    assert value["expected_calibration_error"] is None
    assert value["macro"] == {"iou": 0, "precision": 0, "recall": 0, "f1": 0}


def test_no_positive_at_all(tmp_path: Path) -> None:
    """Images without any label: AP is not defined, calibration is."""
    text, value = evaluated(tmp_path, [((), ())] * 3, CLASSES)
    assert "mAP leaves out 2 of 2 classes" in text
    assert value["mean_average_precision"] is None
    assert 0 < value["expected_calibration_error"] <= 1


def test_one_image_of_one_class(tmp_path: Path) -> None:
    """The smallest set: AP is 1, its interval a point."""
    _, value = evaluated(tmp_path, [(("cat",), ())], ("cat",))
    assert value["mean_average_precision"] == 1
    assert value["intervals"]["mean_average_precision"] == [1, 1]
    assert value["missed_together"] == [[0]] or value["missed_together"] == [[1]]


def test_a_class_without_positives(tmp_path: Path) -> None:
    """It is left out of mAP, and said to be; its counts are 0 and count in macro."""
    labels = [(("cat",), ()), ((), ()), (("cat",), ("dog",)), ((), ())]
    text, value = evaluated(tmp_path, labels, CLASSES)
    assert "mAP leaves out 1 of 2 classes" in text
    assert value["mean_average_precision"] == value["classes"]["cat"]["average_precision"]
    assert value["macro"]["recall"] == value["classes"]["cat"]["recall"] / 2
