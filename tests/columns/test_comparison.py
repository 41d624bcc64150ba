"""Two predictions are compared as pandas, scikit-learn and a loop over resamples compare them."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import average_precision_score, f1_score
from written_predictions import HOSTILE, draw

import vocscore as vs
from shards.manifest import read_manifest
from shards.reader import load_split
from vocscore.cli.main import main
from vocscore.evaluation.bootstrap import bootstrap_difference

if TYPE_CHECKING:
    from pathlib import Path

    from written_predictions import Drawn

    from vocscore.columns.comparison import Comparison


def compared(tmp_path: Path, first: Drawn, second: Drawn, **options: object) -> Comparison:
    for name, drawn in (("a.csv", first), ("b.csv", second)):
        if not (tmp_path / name).exists():
            drawn.write(tmp_path / name, record=drawn.record())
    return vs.compare(tmp_path / "a.csv", tmp_path / "b.csv", **options).comparison


def test_rows_are_matched_by_path(tmp_path: Path) -> None:
    """In any order; what is in only one of them, or failed, is counted."""
    first = draw(30, names=HOSTILE, failing=(2, 9), seed=1)
    order = np.random.default_rng(0).permutation(30)
    second = draw(30, seed=2)
    second = replace(
        second,
        names=(*(first.names[row] for row in order[:28]), "new/1.jpg", "new/2.jpg"),
        failures={5: first.failures[2], int(np.flatnonzero(order[:28] == 2)[0]): first.failures[2]},
    )
    found = compared(tmp_path, first, second)
    shared = set(first.names) & set(second.names)
    assert (found.only_first, found.only_second) == (2, 2)
    bad = [{one.names[row] for row in one.failures} & shared for one in (first, second)]
    assert found.failed == (len(bad[0] - bad[1]), len(bad[1] - bad[0]), len(bad[0] & bad[1]))
    assert len(found.rows) == len(shared - bad[0] - bad[1])
    for row, there in found.rows.tolist():
        assert first.names[row] == second.names[there]
    one, two = (
        values.probabilities[found.rows[:, side]] for side, values in enumerate((first, second))
    )
    changed = (one >= 0.5) != (two >= 0.5)
    np.testing.assert_array_equal(found.changed, np.argwhere(changed))
    np.testing.assert_array_equal(found.gained, ((two >= 0.5) & (one < 0.5)).sum(0))
    np.testing.assert_array_equal(found.lost, ((one >= 0.5) & (two < 0.5)).sum(0))
    assert found.mean_moved == pytest.approx(np.abs(one - two).mean(), rel=1e-5)
    assert found.most_moved == pytest.approx(np.abs(one - two).max())
    assert found.judged is None


def test_other_classes_are_named(tmp_path: Path) -> None:
    """Those of both are compared, by name."""
    first, second = draw(9, ("cat", "dog", "cow")), draw(9, ("dog", "bird", "cat"))
    found = compared(tmp_path, first, second)
    assert found.classes == ("cat", "dog")
    assert found.other_classes == ("bird", "cow")
    one = first.probabilities[:, :2] >= 0.5
    two = second.probabilities[:, [2, 0]] >= 0.5
    np.testing.assert_array_equal(found.predicted, np.stack([one, two]))


@pytest.fixture
def judged(packed: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two predictions of the validation images, as files."""
    images = [image.name for image in load_split(packed, "val").images]
    classes = read_manifest(packed).classes
    files = []
    for seed in (1, 2):
        drawn = draw(len(images), classes, names=images, seed=seed)
        files.append(drawn.write(tmp_path / f"{seed}.csv", record=drawn.record()))
    return files[0], files[1]


def test_figures_are_those_of_scikit_learn(packed: Path, judged: tuple[Path, Path]) -> None:
    """Average precision and F1 of both, fixed and new mistakes."""
    report = vs.compare(*judged, labels=packed, resamples=0)
    found = report.comparison
    truth = load_split(packed, "val").labels
    np.testing.assert_array_equal(found.judged.labels, truth)
    tables = [dataset.table for dataset in report.datasets]
    values = [table.table(np.arange(len(truth))) for table in tables]
    for c in range(truth.shape[1]):
        counts = truth[:, c] >= 0
        for figures, probabilities in zip(
            (found.judged.first, found.judged.second), values, strict=True
        ):
            if not (truth[:, c] == 1).any():
                assert np.isnan(figures.average_precision[c])
                continue
            want = average_precision_score(truth[counts, c] == 1, probabilities[counts, c])
            assert figures.average_precision[c] == pytest.approx(want)
    decided = [probabilities >= 0.5 for probabilities in values]
    wrong = [(truth >= 0) & (one != (truth == 1)) for one in decided]
    np.testing.assert_array_equal(found.judged.fixed, (wrong[0] & ~wrong[1]).sum(0))
    np.testing.assert_array_equal(found.judged.broken, (wrong[1] & ~wrong[0]).sum(0))
    flat = truth >= 0
    want = f1_score(truth[flat] == 1, decided[1][flat])
    assert report.to_json()["judged"]["figures"]["micro_f1"]["second"] == pytest.approx(want)


def test_intervals_are_those_of_a_loop_over_resamples() -> None:
    """Both models on the same images, drawn with replacement."""
    generator = np.random.default_rng(3)
    labels = generator.choice([-1, 0, 1], (25, 3), p=[0.1, 0.5, 0.4]).astype(np.int8)
    one, two = (generator.random((25, 3)).astype(np.float32) for _ in range(2))
    found = bootstrap_difference(
        labels, (one, one >= 0.5), (two, two >= 0.5), resamples=200, seed=5
    )
    drawn = np.random.default_rng(5).integers(0, 25, (200, 25))
    differences = []
    for rows in drawn:
        of_classes = []
        for c in range(3):
            truth = labels[rows, c]
            keep = truth >= 0
            if not (truth == 1).any():
                of_classes.append(np.nan)
                continue
            values = [
                average_precision_score(truth[keep] == 1, model[rows, c][keep])
                for model in (one, two)
            ]
            of_classes.append(values[1] - values[0])
        differences.append(of_classes)
    want = np.nanpercentile(np.array(differences), [2.5, 97.5], axis=0).T
    np.testing.assert_allclose(found.average_precision[0], want, atol=1e-9)
    means = np.nanmean(np.array(differences), axis=1)
    np.testing.assert_allclose(
        found.mean_average_precision[0], np.percentile(means, [2.5, 97.5]), atol=1e-9
    )


def test_a_model_does_not_differ_from_itself(packed: Path, judged: tuple[Path, Path]) -> None:
    """No decision changes, and every interval is 0 to 0."""
    found = vs.compare(judged[0], judged[0], labels=packed, resamples=50).comparison
    assert len(found.changed) == 0
    assert found.most_moved == 0
    for name, first, second, low, high in _figures(found):
        assert first == second, name
        assert low == high == 0, name


def _figures(found: Comparison) -> list[tuple[str, float, float, float, float]]:
    from vocscore.columns.comparison import figures

    assert found.judged is not None
    return figures(found.judged)


def test_the_command_writes_what_the_api_has(
    packed: Path, judged: tuple[Path, Path], tmp_path: Path
) -> None:
    """Text, JSON, one row per class, one row per changed decision."""
    files = {name: tmp_path / name for name in ("c.json", "classes.csv", "changes.csv")}
    words = ["compare", *map(str, judged), "--labels", str(packed), "--resamples", "20"]
    words += ["--json", str(files["c.json"]), "--csv", str(files["classes.csv"])]
    done = CliRunner().invoke(main, [*words, "--changes", str(files["changes.csv"])])
    assert done.exit_code == 0, done.output
    report = vs.compare(*judged, labels=packed, resamples=20)
    assert str(report) in done.output
    assert f"changed decisions: {len(report.comparison.changed)}" in done.output
    assert all(len(line) <= 80 for line in str(report).splitlines())
    with files["classes.csv"].open(newline="") as opened:
        classes = list(csv.DictReader(opened))
    assert [row["class"] for row in classes] == list(report.comparison.classes)
    assert sum(int(row["fixed"]) for row in classes) == report.comparison.judged.fixed.sum()
    with files["changes.csv"].open(newline="") as opened:
        changes = list(csv.DictReader(opened))
    assert len(changes) == len(report.comparison.changed)
    assert all(row["predicted_first"] != row["predicted_second"] for row in changes)


@pytest.mark.parametrize("words", [["run", "p.csv"], ["p.csv", "run"]])
def test_a_run_and_predictions_are_not_compared(words: list[str], tmp_path: Path) -> None:
    """One line, exit code 2."""
    draw(3).write(tmp_path / "p.csv")
    (tmp_path / "run").mkdir()
    for name in ("config.json", "metrics.json"):
        (tmp_path / "run" / name).write_text("{}")
    done = CliRunner().invoke(main, ["compare", *(str(tmp_path / word) for word in words)])
    assert done.exit_code == 2
    assert "is a run, and" in done.output


def test_nothing_in_common_is_refused(tmp_path: Path) -> None:
    """No image, no class."""
    draw(3, names=("a", "b", "c")).write(tmp_path / "a.csv")
    draw(3, names=("d", "e", "f")).write(tmp_path / "b.csv")
    draw(3, ("cow",), names=("a", "b", "c")).write(tmp_path / "c.csv")
    with pytest.raises(vs.Error, match=r"no image with probabilities in common.*'a' and 'd'"):
        vs.compare(tmp_path / "a.csv", tmp_path / "b.csv")
    with pytest.raises(vs.Error, match="no class in common"):
        vs.compare(tmp_path / "a.csv", tmp_path / "c.csv")


def test_images_that_were_trained_on_are_left_out(packed: Path, tmp_path: Path) -> None:
    """Without a record, those of the split 'train'; --all-images judges by them, too."""
    images = [image.name for image in load_split(packed, "train").images]
    classes = read_manifest(packed).classes
    files = [
        draw(len(images), classes, names=images, seed=seed).write(tmp_path / f"{seed}.csv")
        for seed in (1, 2)
    ]
    found = vs.compare(*files, labels=packed, resamples=0)
    assert found.comparison.judged is None
    assert found.comparison.left_out == len(images)
    assert "`all_images=True`" in str(found)
    everything = vs.compare(*files, labels=packed, resamples=0, all_images=True).comparison
    assert len(everything.judged.places) == len(images)
    assert everything.left_out == 0
