"""What `vocscore eval` says: decisions as they were taken, intervals, calibration, mistakes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from voc_truth import Truth, plain, write

from shards.classes import VOC_CLASSES
from vocscore.cli.main import main
from vocscore.errors import EvalError
from vocscore.evaluation.bootstrap import bootstrap
from vocscore.evaluation.calibration import reliability
from vocscore.evaluation.eval_text import eval_text
from vocscore.evaluation.evaluate import evaluate
from vocscore.evaluation.metrics import report
from vocscore.evaluation.mistakes import missed_together

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.evaluation.eval_report import EvalReport

THRESHOLDS = tuple(np.linspace(0.2, 0.7, len(VOC_CLASSES)).round(3).tolist())


@pytest.fixture
def scored(val: Truth, tmp_path: Path) -> Path:
    """Predictions of a model with a threshold a class."""
    above = val.guesses >= np.float32(THRESHOLDS)
    return write(tmp_path / "p.csv", val.paths, val.guesses, predicted=above)


def invoke(*words: object) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_the_decisions_of_the_model_are_compared(packed: Path, val: Truth, scored: Path) -> None:
    """Without --threshold, figures are those of the thresholds that wrote the labels."""
    got = evaluate(scored, packed, split="val", threshold=None)
    expected = report(val.labels, val.guesses, threshold=THRESHOLDS)
    other = report(val.labels, val.guesses, threshold=0.5)
    assert got.figures.macro == expected.macro != other.macro
    assert got.figures.samples == expected.samples
    assert got.figures.per_class.f1.tolist() == expected.per_class.f1.tolist()
    value = plain(got.to_json())
    assert (value["decided_by"], value["threshold"]) == ("labels", None)
    assert "predicted: the labels in the predictions" in eval_text(got)


def test_a_threshold_takes_the_place_of_their_labels(
    packed: Path, val: Truth, scored: Path
) -> None:
    """With --threshold, the labels in the table are not looked at."""
    got = evaluate(scored, packed, split="val", threshold=0.5)
    assert got.figures.macro == report(val.labels, val.guesses, threshold=0.5).macro
    value = plain(got.to_json())
    assert (value["decided_by"], value["threshold"]) == ("threshold", 0.5)
    assert "a probability of 0.5 or more" in eval_text(got)


def test_without_labels_a_threshold_is_asked_for(packed: Path, scored: Path) -> None:
    """A table without decisions is refused with the cure, and taken with a threshold."""
    lines = scored.read_text().splitlines()
    scored.write_text("".join(line.rpartition(",")[0] + "\n" for line in lines))
    with pytest.raises(EvalError, match=r"no labels to compare .* `threshold=0\.5`"):
        evaluate(scored, packed, split="val", threshold=None)
    assert evaluate(scored, packed, split="val", threshold=0.5).figures.images == 16


@pytest.mark.parametrize("rule", ["ignore", "positive", "negative"])
def test_difficult_has_one_meaning_in_all_figures(
    packed: Path, val: Truth, scored: Path, rule: str
) -> None:
    """AP, counts, calibration and misses are those of the labels under the rule."""
    mark = {"ignore": -1, "positive": 1, "negative": 0}[rule]
    labels = np.where(val.labels == -1, mark, val.labels).astype(np.int8)
    assert (val.labels == -1).any()
    got = evaluate(scored, packed, split="val", threshold=0.5, difficult=rule)
    expected = report(labels, val.guesses, threshold=0.5)
    assert plain(got.figures.to_json(VOC_CLASSES)) == plain(expected.to_json(VOC_CLASSES))
    bins = reliability(labels, val.guesses)
    assert got.calibration.decisions.tolist() == bins.decisions.tolist()
    assert got.missed.tolist() == missed_together(labels, val.guesses >= 0.5).tolist()
    assert got.to_json()["difficult"] == rule
    told = f"NOT THE USUAL METRICS: 'difficult' instances count as {rule}" in eval_text(got)
    assert told == (rule != "ignore")


def test_the_json_has_everything_a_drawing_needs(
    packed: Path, val: Truth, scored: Path, tmp_path: Path
) -> None:
    """Intervals of every class, the bins of a reliability diagram, misses; strict JSON."""
    file = tmp_path / "eval.json"
    words = ("eval", scored, packed, "--split", "val", "--json", file, "--resamples", 30)
    done = invoke(*words, "--seed", 4)
    assert done.exit_code == 0, done.output
    value = json.loads(file.read_text())
    above = val.guesses >= np.float32(THRESHOLDS)
    intervals = bootstrap(val.labels, val.guesses, above, resamples=30, seed=4)
    assert value["intervals"] == plain(intervals.to_json(VOC_CLASSES))
    assert list(value["intervals"]["classes"]) == list(VOC_CLASSES)
    bins = reliability(val.labels, val.guesses)
    assert value["reliability"] == plain(bins.to_json())
    assert value["expected_calibration_error"] == bins.expected_calibration_error
    assert value["missed_together"] == missed_together(val.labels, above).tolist()


def test_without_resamples_there_are_no_intervals(
    packed: Path, scored: Path, tmp_path: Path
) -> None:
    """--resamples 0 prints and writes none."""
    file = tmp_path / "eval.json"
    done = invoke("eval", scored, packed, "--split", "val", "--json", file, "--resamples", 0)
    assert json.loads(file.read_text())["intervals"] is None
    assert "between" not in done.output


def table(got: EvalReport) -> dict[str, list[str]]:
    """First word of a line -> the words after it."""
    lines = [line.split() for line in eval_text(got).splitlines() if line]
    return {words[0]: words[1:] for words in lines}


def test_the_text_shows_the_intervals_beside_the_figures(packed: Path, scored: Path) -> None:
    """Each class has that of its AP, each average those of its four figures, mAP its own."""
    got = evaluate(scored, packed, split="val", threshold=None, resamples=40)
    assert got.intervals is not None
    lines = table(got)
    for c, name in enumerate(VOC_CLASSES):
        low, high = got.intervals.average_precision[0, c]
        assert lines[name][2] == ("-" if np.isnan(low) else f"{low:.3f}-{high:.3f}")
    assert lines["average"] == ["samples", "micro", "macro"]
    figures = {"IoU": "iou", "precision": "precision", "recall": "recall", "F1": "f1"}
    for place, (title, figure) in enumerate(figures.items()):
        words = []
        for name in ("samples", "micro", "macro"):
            low, high = getattr(got.intervals, name)[place]
            value = getattr(getattr(got.figures, name), figure)
            words += [f"{value:.3f}", f"({low:.3f}-{high:.3f})"]
        assert lines[title] == words
    low, high = got.intervals.mean_average_precision[0]
    first = f"mAP {got.figures.mean_average_precision:.3f} ({low:.3f}-{high:.3f}; chance "
    assert first in eval_text(got)
    assert "95% of 40 resamples" in eval_text(got)


def test_the_columns_stay_in_line(packed: Path, scored: Path) -> None:
    """Every line of the two tables is as long as its header, whatever is not defined."""
    for resamples in (0, 20):
        got = evaluate(scored, packed, split="val", threshold=None, resamples=resamples)
        assert np.isnan(got.figures.average_precision).any()
        blocks = eval_text(got).split("\n\n")
        for block in blocks[1:3]:
            assert len({len(line) for line in block.splitlines()}) == 1


def test_the_text_names_what_is_missed_together(packed: Path, val: Truth, tmp_path: Path) -> None:
    """The most frequent pair comes first, with its count; where nothing is missed, no line."""
    nothing = write(tmp_path / "p.csv", val.paths, val.guesses)
    got = evaluate(nothing, packed, split="val", threshold=None)
    pairs = np.triu((val.labels == 1).astype(int).T @ (val.labels == 1), k=1)
    a, b = divmod(int(pairs.argmax()), len(VOC_CLASSES))
    first = f"most often missed together: {VOC_CLASSES[a]} and {VOC_CLASSES[b]} ({pairs.max()})"
    assert first in eval_text(got)
    everything = evaluate(nothing, packed, split="val", threshold=0.0)
    assert "missed together" not in eval_text(everything)


def test_classes_without_positives_are_said_to_be_left_out(packed: Path, scored: Path) -> None:
    """The line of mAP is followed by how many classes it is not of."""
    got = evaluate(scored, packed, split="val", threshold=None)
    absent = int((got.figures.per_class.positives == 0).sum())
    assert absent
    assert f"mAP leaves out {absent} of 20 classes" in eval_text(got)
