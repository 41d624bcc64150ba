"""`train` and `eval --plots` leave the same three images, each of what it measured."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from shards.reader import load_split
from vocscore.charts import evaluation_charts
from vocscore.charts.evaluation_charts import STEMS
from vocscore.cli.main import main
from vocscore.config.evaluating import BootstrapConfig
from vocscore.evaluation.evaluate import evaluate
from vocscore.models.card_file import load_card
from vocscore.training import plots
from vocscore.training.run_folder import RUN_FILES
from vocscore.training.trainer import SplitOutcome

if TYPE_CHECKING:
    from pathlib import Path

NAMES = tuple(f"{stem}.png" for stem in STEMS)


def invoke(*words: object) -> None:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def trained(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The drawn set packed, and a run on it with thresholds and a temperature."""
    folder = tmp_path_factory.mktemp("charts")
    shards, run = folder / "shards", folder / "run"
    invoke("pack", voc_tree, "-o", shards, "-q")
    small = ("--backbone", "squeezenet1_1", "--weights", "none", "--size", 32, "--epochs", 1)
    both = ("--chart-format", "both")
    fitted = ("--calibrate", "--thresholds", "f1", "--precision", "float32")
    invoke("train", shards, "-o", run, *small, *fitted, *both, "-q", "--device", "cpu")
    return shards, run


def test_a_run_has_them(trained: tuple[Path, Path]) -> None:
    """Beside the curves, in the format asked for; and an overwritten run begins without them."""
    _shards, run = trained
    charts = {f"{stem}{suffix}" for stem in ("curves", *STEMS) for suffix in (".png", ".svg")}
    assert charts == {file.name for file in run.iterdir() if file.suffix in (".png", ".svg")}
    assert charts <= set(RUN_FILES)


def test_eval_draws_what_train_drew(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures, calibration and misses of the scored validation split are those of training."""
    shards, run = trained
    predictions = tmp_path / "predictions.csv"
    exact = ("--device", "cpu", "--precision", "float32")
    invoke("score", shards, "-m", run, "-o", predictions, "-q", *exact)
    seen: dict[str, Any] = {}
    original = evaluation_charts.evaluation_charts

    def watched(folder: Path, classes: tuple[str, ...], **what: Any) -> None:
        seen.update(what, classes=classes)
        original(folder, classes, **what)

    monkeypatch.setattr(evaluation_charts, "evaluation_charts", watched)
    folder = tmp_path / "new" / "plots"
    # about half of all decisions are no: some of them are misses
    rows = [line.split(",")[3:-1] for line in predictions.read_text().splitlines()[1:]]
    half = float(np.median(np.array(rows, dtype=float)))
    split = ("--split", "val", "--resamples", 0, "-q", "--threshold", half)
    invoke("eval", predictions, shards, *split, "--plots", folder)
    assert sorted(file.name for file in folder.iterdir()) == sorted(NAMES)

    metrics = json.loads((run / "metrics.json").read_text())
    known = metrics["val"]["mean_average_precision"]
    assert seen["figures"].mean_average_precision == pytest.approx(known, abs=1e-3)
    (found,) = seen["calibration"].values()
    known = metrics["decisions"]["expected_calibration_error_after"]
    assert found.expected_calibration_error == pytest.approx(known, abs=1e-3)
    one = seen["figures"].per_class
    missed = np.round(one.positives * (1 - one.recall)).astype(int)
    assert missed.sum() > 0
    assert np.diag(seen["missed"]).tolist() == missed.tolist()


def test_before_and_after_calibration(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with a temperature draws both lines, with the errors that metrics.json names."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(plots, "evaluation_charts", lambda *_a, **what: seen.update(what))
    card = load_card(trained[1])
    rng = np.random.default_rng(0)
    labels = (rng.random((50, 20)) < 0.2).astype(np.int8)
    outcome = SplitOutcome(0.0, labels, rng.normal(0, 3, labels.shape).astype(np.float32))
    plots.validation_charts(tmp_path, outcome, card, figures=None)
    before, after = seen["calibration"].values()
    expected = 1 / (1 + np.exp(-outcome.logits.astype(float)))
    assert before.mean_probability[-1] == pytest.approx(expected[expected >= 14 / 15].mean())
    assert card.temperature != 1
    assert f"temperature {card.temperature:.3g}" in seen["calibration"]
    cooled = 1 / (1 + np.exp(-outcome.logits.astype(float) / card.temperature))
    total = (after.decisions * np.nan_to_num(after.mean_probability)).sum()
    assert total == pytest.approx(cooled.sum(), rel=1e-5)


def test_train_draws_the_intervals_that_eval_gives(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the defaults of both, for the same split: the same draws, so the same numbers."""
    shards, run = trained
    predictions = tmp_path / "predictions.csv"
    exact = ("--device", "cpu", "--precision", "float32")
    invoke("score", shards, "-m", run, "-o", predictions, "-q", *exact)
    draws = {"resamples": BootstrapConfig.resamples, "seed": BootstrapConfig.seed}
    report = evaluate(predictions, shards, split="val", threshold=None, **draws)
    assert report.intervals is not None
    labels, scores = of_val_split(shards, predictions)
    seen: dict[str, Any] = {}
    monkeypatch.setattr(plots, "evaluation_charts", lambda *_a, **what: seen.update(what))
    card = replace(load_card(run), temperature=1.0)
    outcome = SplitOutcome(0.0, labels, np.log(scores / (1 - scores)).astype(np.float32))
    plots.validation_charts(tmp_path, outcome, card, figures=report.figures)
    expected = report.intervals.average_precision
    assert seen["intervals"].average_precision == pytest.approx(expected, nan_ok=True)
    monkeypatch.setattr(plots, "MOST_DECISIONS", labels.size - 1)
    plots.validation_charts(tmp_path, outcome, card, figures=report.figures)
    assert seen["intervals"] is None


def of_val_split(shards: Path, predictions: Path) -> tuple[Any, Any]:
    """Labels as training reads them, and the probabilities of the same images in that order."""
    split = load_split(shards, "val")
    rows = {row[0]: row for row in csv.reader(predictions.read_text().splitlines())}
    scores = [[float(p) for p in rows[image.name][3:-1]] for image in split.images]
    return split.labels, np.array(scores)


def test_eval_draws_in_another_format(trained: tuple[Path, Path], tmp_path: Path) -> None:
    """`--chart-format svg` goes for all charts; without --plots it is refused."""
    shards, run = trained
    predictions = tmp_path / "predictions.csv"
    invoke("score", shards, "-m", run, "-o", predictions, "-q", "--device", "cpu")
    words = ("eval", predictions, shards, "--resamples", 0, "-q", "--chart-format", "svg")
    invoke(*words, "--plots", tmp_path / "plots")
    found = sorted(file.name for file in (tmp_path / "plots").iterdir())
    assert found == sorted(f"{stem}.svg" for stem in STEMS)
    refused = CliRunner().invoke(main, [str(word) for word in words])
    assert refused.exit_code == 2
    assert "--plots DIR" in refused.output


def test_eval_without_plots_loads_no_matplotlib() -> None:
    """Drawing costs a second to import; only who asks for it pays."""
    code = (
        "import sys; from vocscore.cli import evaluate; import vocscore.evaluation.evaluate; "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
