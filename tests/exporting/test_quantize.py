"""8-bit models: written only where they are proved, run only with the weights they were made of."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from exported_runs import invoke, make_run, probabilities

from shards.reader import load_split
from vocscore.exporting.quantizable import load_measured
from vocscore.exporting.quantize import QuantizeReport

if TYPE_CHECKING:
    from pathlib import Path

    from shards.reader import LabeledImages


def test_a_proved_model_is_written_and_scores(run: Path, packed: Path, tmp_path: Path) -> None:
    """`score --precision int8` runs what `quantize` wrote: near float32, and not equal to it."""
    result = invoke("quantize", run, "--shards", packed, "--max-map-drop", 1, "--max-changed", 1)
    assert result.exit_code == 0, result.output
    report = json.loads((run / "int8" / "report.json").read_text())
    assert report["pictures"] > 0
    assert f"int8 {report['map_int8']:.4f}" in result.output
    found = {}
    for precision in ("float32", "int8"):
        out = tmp_path / f"{precision}.csv"
        scored = invoke("score", packed, "-m", run, "-o", out, "-q", "--precision", precision)
        assert scored.exit_code == 0, scored.output
        found[precision] = probabilities(out)
    difference = np.abs(found["int8"] - found["float32"])
    assert found["float32"].std() > 0.01, "the rows must differ, or this test shows nothing"
    assert 0 < difference.max() < 0.2
    assert difference.mean() < 0.1 * found["float32"].std()


def test_a_model_that_is_not_close_is_not_written(packed: Path, tmp_path: Path) -> None:
    """Figures, limits and the cure are named; the folder is as it was."""
    classes = tuple(json.loads((packed / "dataset.json").read_text())["classes"])
    run = make_run(tmp_path / "run", classes, backbone="squeezenet1_1")
    before = sorted(run.iterdir())
    result = invoke("quantize", run, "--shards", packed, "-q", "--max-changed", 0)
    if result.exit_code == 0:
        pytest.fail("8 bits that change no decision: choose a network nearer to the threshold")
    assert result.exit_code == 2
    assert "of the decisions changed" in result.output
    assert "--max-changed (now 0.0)" in result.output
    assert sorted(run.iterdir()) == before


FAITHFUL, CLOSE, FAR = (0.01, 0.001), (0.1, 0.005), (0.5, 0.05)
"""Largest difference and share of changed decisions."""


@pytest.mark.parametrize(
    ("performance", "precise", "kept"),
    [
        (FAITHFUL, None, "performance"),
        (CLOSE, FAITHFUL, "precise"),
        (CLOSE, CLOSE, "performance"),
        (FAR, CLOSE, "precise"),
        (FAR, FAR, None),
    ],
)
def test_the_fastest_faithful_preset_is_kept(
    run: Path,
    packed: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    performance: tuple[float, float],
    precise: tuple[float, float] | None,
    kept: str | None,
) -> None:
    """Else the fastest one within the limits; the other is not tried where it is not needed."""
    figures = {"performance": performance, "precise": precise}
    tried = []

    def compare(preset: str, images: LabeledImages, *_: object, **__: object) -> QuantizeReport:
        tried.append(preset)
        largest, changed = figures[preset]
        return QuantizeReport(preset, len(images.images), 0.5, 0.5, changed, largest)

    monkeypatch.setattr("vocscore.exporting.quantize._compare", compare)
    monkeypatch.setattr("vocscore.runtime.int8.quantize", lambda graph, *_, **__: graph.clone())
    result = invoke("quantize", run, "--shards", packed, "-q")
    assert tried == (["performance"] if precise is None else ["performance", "precise"])
    if kept is None:
        assert result.exit_code == 2
        assert "(performance: mAP 0.5000 to 0.5000, 5.0% of the decisions" in result.output
        assert "; precise: mAP" in result.output
    else:
        assert json.loads((run / "int8" / "report.json").read_text())["preset"] == kept


def test_int8_of_other_weights_is_refused(run: Path, packed: Path, tmp_path: Path) -> None:
    """A model that was trained again needs to be quantized again."""
    made = invoke("quantize", run, "--shards", packed, "--max-map-drop", 1, "--max-changed", 1)
    assert made.exit_code == 0, made.output
    card = json.loads((run / "model.json").read_text())
    (run / "model.json").write_text(json.dumps({**card, "threshold": 0.4}))
    out = tmp_path / "out.csv"
    result = invoke("score", packed, "-m", run, "-o", out, "-q", "--precision", "int8")
    assert result.exit_code == 2
    assert "was made from other weights" in result.output
    assert not out.exists()


def test_int8_that_was_not_made(run: Path, packed: Path, tmp_path: Path) -> None:
    """The error says how to make it."""
    out = tmp_path / "out.csv"
    result = invoke("score", packed, "-m", run, "-o", out, "-q", "--precision", "int8")
    assert result.exit_code == 2
    assert f"has no int8 model. Make it with: vocscore quantize {run}" in result.output


def test_without_nncf(run: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that is missing is named."""
    monkeypatch.setitem(sys.modules, "nncf", None)
    result = invoke("quantize", run, "--shards", packed, "-q")
    assert result.exit_code == 2
    assert "pip install 'vocscore[int8]'" in result.output


def test_shards_of_other_classes(run: Path, packed: Path, tmp_path: Path) -> None:
    """A model is not calibrated with images of other classes."""
    card = json.loads((run / "model.json").read_text())
    classes = [*card["classes"][1:], "another"]
    (run / "model.json").write_text(json.dumps({**card, "classes": classes}))
    result = invoke("quantize", run, "--shards", packed, "-q")
    assert result.exit_code == 2
    assert "classes differ" in result.output


def test_classes_in_another_order(run: Path, packed: Path) -> None:
    """The labels follow the model's order, not that of the shards."""
    card = json.loads((run / "model.json").read_text())
    classes = [*card["classes"][1:], card["classes"][0]]
    (run / "model.json").write_text(json.dumps({**card, "classes": classes}))
    turned, plain = load_measured(run, packed, split="train"), load_split(packed, "train")
    assert (turned.labels == np.roll(plain.labels, -1, axis=1)).all()
    assert turned.images == plain.images


def test_shards_that_the_run_names(run: Path, packed: Path) -> None:
    """Without --shards, those of the run's config; without a config, a line that says so."""
    result = invoke("quantize", run, "-q")
    assert result.exit_code == 2
    assert "Use --shards" in result.output
    (run / "config.json").write_text(json.dumps({"shards": str(packed / "gone")}))
    result = invoke("quantize", run, "-q")
    assert result.exit_code == 2
    assert "is missing" in result.output
