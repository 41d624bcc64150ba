"""A checkpoint with thresholds and a temperature, scored."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.special import expit, logit
from tiny_network import CLASSES, make_checkpoint, numbers, read
from tiny_network import run as run_with

from vocscore.errors import ScoreError
from vocscore.models.checkpoint import load_checkpoint, save_checkpoint

run = partial(run_with, precision="float32")  # so that only the cards differ


@pytest.fixture(scope="module")
def scored(voc_tree, tmp_path_factory):
    """The run's folder of a plain checkpoint, and its rows."""
    folder = tmp_path_factory.mktemp("plain")
    make_checkpoint(folder / "run")
    run(voc_tree / "JPEGImages", folder / "out.csv", folder / "run")
    return folder / "run", read(folder / "out.csv")


def fitted(plain, folder, **fields):
    """The same network with another card."""
    network, card = load_checkpoint(plain)
    save_checkpoint(folder, network, replace(card, **fields))
    return folder


def test_labels_follow_the_thresholds_of_the_classes(voc_tree, scored, tmp_path):
    """With the medians as thresholds, each class labels half of the images; no number moves."""
    plain, before = scored
    values = np.stack([numbers(row) for row in before.values()])
    medians = tuple(float(f"{m:.4g}") for m in np.median(values, axis=0))
    run(
        voc_tree / "JPEGImages",
        tmp_path / "out.csv",
        fitted(plain, tmp_path / "run", thresholds=medians),
    )
    after = read(tmp_path / "out.csv")
    assert [numbers(row).tolist() for row in after.values()] == values.tolist()
    for row in after.values():
        above = zip(CLASSES, numbers(row), medians, strict=True)
        assert row["labels"] == ";".join(c for c, p, t in above if p >= np.float32(t))
    counts = [sum(c in row["labels"].split(";") for row in after.values()) for c in CLASSES]
    assert all(20 <= count <= 28 for count in counts)


def test_the_temperature_divides_the_logits(voc_tree, scored, tmp_path):
    """Probabilities are the sigmoid of logits / temperature: those of a plain run, moved."""
    plain, before = scored
    run(
        voc_tree / "JPEGImages",
        tmp_path / "out.csv",
        fitted(plain, tmp_path / "run", temperature=2.5),
    )
    for name, row in read(tmp_path / "out.csv").items():
        expected = expit(logit(numbers(before[name]).astype(np.float64)) / 2.5)
        assert numbers(row) == pytest.approx(expected, abs=1e-5)


def test_a_run_does_not_go_on_with_other_thresholds(voc_tree, scored, tmp_path):
    """An unfinished output of the plain card is refused to the one with thresholds."""
    plain, _ = scored
    with pytest.raises(InterruptedError):
        run(voc_tree / "JPEGImages", tmp_path / "out.csv", plain, progress=_stop)
    other = fitted(plain, tmp_path / "run", thresholds=(0.1, 0.2, 0.3))
    with pytest.raises(ScoreError, match=r"the threshold \(0.5 there, \[0.1, 0.2, 0.3\] now\)"):
        run(voc_tree / "JPEGImages", tmp_path / "out.csv", other)


def _stop(*_):
    raise InterruptedError
