"""Two predictions beside each other; the oracles are pandas, scikit-learn and plain resampling."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from click.testing import CliRunner
from drawn_tables import draw as draw_labeled
from written_predictions import HOSTILE, draw

from vocscore.cli.main import main
from vocscore.columns.compare import compare_datasets
from vocscore.columns.dataset import open_dataset
from vocscore.evaluation.bootstrap import POINTS, RATIOS, bootstrap_difference
from vocscore.evaluation.metrics import report

if TYPE_CHECKING:
    from pathlib import Path


def test_changed_decisions_are_those_that_pandas_finds(tmp_path: Path) -> None:
    """Rows meet by path in any order and format; hostile names and errors included.

    Without the name that is not UTF-8, which pandas cannot hold.
    """
    names = [name for name in HOSTILE if "\udce9" not in name]
    one = draw(40, names=names, failing=(3, 17), seed=1).write(tmp_path / "a.csv")
    two = draw(44, names=names[::-1], failing=(17, 20), seed=2).write(tmp_path / "b.parquet")
    changes, file = tmp_path / "changes.csv", tmp_path / "c.json"
    words = ["compare", one, two, "--changes", changes, "--json", file, "--quiet"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    a = pd.read_csv(one).set_index("path")
    b = pd.read_parquet(two).set_index("path")
    both = a.index.intersection(b.index)
    usable = [p for p in both if a.status[p] == b.status[p] == "ok"]
    expected = {
        (path, name)
        for path in usable
        for name in ("cat", "dog", "bird")
        if (np.float32(a[name][path]) >= 0.5) != (np.float32(b[name][path]) >= 0.5)
    }
    got = pd.read_csv(changes)
    assert set(zip(got["path"], got["class"], strict=True)) == expected
    assert len(got) == len(expected) > 10
    for row in got.itertuples():
        assert row.predicted_first == (np.float32(row.probability_first) >= 0.5)
        assert row.predicted_second == (np.float32(row.probability_second) >= 0.5)
    told = json.loads(file.read_text())
    assert told["images"] == len(usable)
    assert told["only_first"] == len(a) - len(both)
    assert told["only_second"] == len(b) - len(both)
    errors = [told[f"failed_{which}"] for which in ("only_first", "only_second", "both")]
    assert sum(errors) == len(both) - len(usable)
    assert told["changed_decisions"] == len(expected)


@pytest.mark.parametrize("seed", [0, 1])
def test_differences_have_the_intervals_of_the_resamples_one_by_one(seed: int) -> None:
    """Both are judged on the same resamples: percentiles of differences, not of two figures."""
    labels, first = draw_labeled(seed, images=60)
    second = np.clip(first + 0.2 * (labels == 1) - 0.05, 0, 1).astype(np.float32)
    pairs = [(values, values >= 0.5) for values in (first, second)]
    got = bootstrap_difference(labels, *pairs, resamples=40, seed=seed)
    drawn = np.random.default_rng(seed).integers(0, 60, (40, 60))
    reports = [
        [report(labels[r], values[r], threshold=0.5) for values in (first, second)] for r in drawn
    ]
    for kind, name in enumerate(POINTS):
        moved = [getattr(b, f"mean_{name}") - getattr(a, f"mean_{name}") for a, b in reports]
        assert got.mean_average_precision[kind] == pytest.approx(np.percentile(moved, [2.5, 97.5]))
    for average in ("samples", "micro", "macro"):
        for place, name in enumerate(RATIOS):
            moved = [
                getattr(getattr(b, average), name) - getattr(getattr(a, average), name)
                for a, b in reports
            ]
            expected = np.percentile(moved, [2.5, 97.5])
            assert getattr(got, average)[place] == pytest.approx(expected)


def test_a_model_beside_itself_differs_in_nothing() -> None:
    """Every interval of a difference to itself is from 0 to 0."""
    labels, values = draw_labeled(3)
    same = (values, values >= 0.5)
    got = bootstrap_difference(labels, same, same, resamples=20, seed=0)
    assert got.mean_average_precision.tolist() == [[0, 0]] * 3
    assert got.micro.tolist() == got.samples.tolist() == got.macro.tolist() == [[0, 0]] * 4


class FixedLabels:
    """Labels of every row, none of which was trained on."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.has = np.ones(len(values), np.bool_)
        self.trained = np.zeros(len(values), np.bool_)

    def table(self, rows: np.ndarray) -> np.ndarray:
        return self.values[rows]


def test_fixed_and_broken_and_ap_by_class_are_scikit_learns(tmp_path: Path) -> None:
    """AP of both, and the off-diagonal of right and wrong in first and second."""
    drawn = [draw(50, seed=seed) for seed in (5, 6)]
    first, second = (
        open_dataset(one.write(tmp_path / f"{name}.csv"))
        for name, one in zip("ab", drawn, strict=True)
    )
    labels = np.random.default_rng(0).integers(-1, 2, (50, 3)).astype(np.int8)
    first.labels = FixedLabels(labels)  # type: ignore[assignment]
    got = compare_datasets(first, second, resamples=0, seed=0).judged
    assert got is not None
    for c in range(3):
        counts = labels[:, c] >= 0
        truth = labels[counts, c]
        right = []
        for one, told in zip(drawn, (got.first, got.second), strict=True):
            values = one.probabilities[counts, c]
            expected = sklearn.metrics.average_precision_score(truth, values)
            assert told.average_precision[c] == pytest.approx(expected)
            right.append((values >= np.float32(0.5)) == truth)
        table = sklearn.metrics.confusion_matrix(*right)
        assert (got.fixed[c], got.broken[c]) == (table[0, 1], table[1, 0])


@pytest.mark.parametrize("option", ["--json", "--csv", "--changes"])
def test_nothing_that_is_compared_is_written_over(option: str, tmp_path: Path) -> None:
    """Predictions, a record, and parts of a folder stay as they were; one line, exit code 2."""
    one = draw(seed=1).write(tmp_path / "a.csv")
    two = draw(seed=2).write(tmp_path / "b", folder_format="csv")
    records = [tmp_path / "a.csv.json", tmp_path / "b.json"]
    for record in records:
        record.write_bytes(draw().record().to_bytes())
    link = tmp_path / "link.json"
    link.symlink_to(one)
    for target in (one, *records, two / "part-000000.csv", two / "new.json", link):
        before = target.read_bytes() if target.exists() else None
        done = CliRunner().invoke(main, ["compare", str(one), str(two), option, str(target)])
        assert done.exit_code == 2, target
        assert len(done.output.splitlines()) == 1
        assert (target.read_bytes() if target.exists() else None) == before
