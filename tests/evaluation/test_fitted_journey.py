"""Thresholds and temperature on their way: fitted by train, kept, used by score, read by eval."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from shards.classes import VOC_CLASSES
from vocscore.cli.main import main
from vocscore.evaluation.metrics import report

if TYPE_CHECKING:
    from pathlib import Path

    from voc_truth import Truth


def run(*words: object) -> str:
    """Run a command that must succeed; what it printed."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


def test_eval_measures_the_decisions_that_train_fitted(
    packed: Path, voc_tree: Path, val: Truth, tmp_path: Path
) -> None:
    """What train wrote to metrics.json decides the labels that score writes and eval measures.

    A network that knows nothing has images on both sides of a threshold by its last digits, and
    these differ between training and scoring: decisions are worked out from what score wrote.
    """
    out, file = tmp_path / "run", tmp_path / "p.csv"
    network = ["--backbone", "squeezenet1_1", "--weights", "none", "--size", 64, "--epochs", 2]
    told = run("train", packed, "-o", out, *network, "--thresholds", "f1", "--calibrate")
    assert "the thresholds and the temperature were chosen on the validation split" in told
    run("score", voc_tree, "-m", out, "-o", file, "--precision", "float32")
    run("eval", file, packed, "--split", "val", "--resamples", 0, "--json", tmp_path / "e.json")
    decisions = json.loads((out / "metrics.json").read_text())["decisions"]
    found = json.loads((tmp_path / "e.json").read_text())
    assert decisions["temperature"] != 1
    assert len(set(decisions["thresholds"].values())) > 5
    with file.open(newline="") as stream:
        rows = {row["path"]: row for row in csv.DictReader(stream)}
    guesses = np.array(
        [[rows[path][name] for name in VOC_CLASSES] for path in val.paths], np.float32
    )
    fitted = [decisions["thresholds"][name] for name in VOC_CLASSES]
    expected = report(val.labels, guesses, threshold=fitted)
    for average in ("samples", "micro", "macro"):
        assert found[average] == getattr(expected, average).to_json()
    after = decisions["expected_calibration_error_after"]
    assert found["expected_calibration_error"] == pytest.approx(after, abs=0.05)
    assert decisions["expected_calibration_error_before"] > after + 0.1
    assert found["chosen_on_validation"] == ["thresholds", "temperature"]
    assert found["validated_on"] == len(val.paths)
