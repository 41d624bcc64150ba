"""Tables of mistakes and suspects agree with scikit-learn."""

from __future__ import annotations

import csv
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import log_loss
from written_predictions import HOSTILE, draw

import vocscore as vs
from shards.manifest import read_manifest
from shards.reader import load_split
from vocscore.cli.main import main
from vocscore.evaluation.decision_tables import write_mistakes, write_suspects

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("cat", 'd;o"g', "bird")


@pytest.fixture
def report() -> Any:
    """What the tables are made of."""
    drawn = draw(40, CLASSES, names=HOSTILE, seed=4)
    generator = np.random.default_rng(4)
    labels = generator.choice([-1, 0, 1], (40, 3), p=[0.1, 0.5, 0.4]).astype(np.int8)
    thresholds = (0.5, 0.25, 0.8)
    decisions = SimpleNamespace(
        paths=drawn.names,
        labels=labels,
        probabilities=drawn.probabilities,
        predicted=drawn.probabilities >= np.array(thresholds, np.float32),
        thresholds=thresholds,
    )
    return SimpleNamespace(classes=CLASSES, decisions=decisions)


def read(file: Path) -> SimpleNamespace:
    """The columns; numbers as numbers. pandas 3 cannot hold names that are not UTF-8."""
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as opened:
        rows = list(csv.DictReader(opened))
    columns = {name: [number(row[name]) for row in rows] for name in rows[0]}
    each = [SimpleNamespace(name=r["class"], **{k: number(v) for k, v in r.items()}) for r in rows]
    return SimpleNamespace(rows=each, **columns)


def number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def test_every_mistake_is_a_row(report: Any, tmp_path: Path) -> None:
    """With its kind and its loss, the greatest loss first; hostile names survive."""
    file, found = tmp_path / "m.csv", report.decisions
    count = write_mistakes(file, report)
    table = read(file)
    wrong = (found.labels >= 0) & (found.predicted != (found.labels == 1))
    assert count == len(table.rows) == wrong.sum()
    assert (np.diff(table.loss) <= 1e-6).all()
    seen = set()
    for row in table.rows:
        image = found.paths.index(row.path)
        c = CLASSES.index(row.name)
        seen.add((image, c))
        label, p = found.labels[image, c], found.probabilities[image, c]
        assert row.kind == ("false_negative" if label == 1 else "false_positive")
        assert np.float32(row.probability) == p
        assert row.threshold == found.thresholds[c]
        want = log_loss([label], [[1 - float(p), float(p)]], labels=[0, 1])
        assert row.loss == pytest.approx(min(want, -np.log(1e-7)), rel=1e-4)
    assert seen == {(int(i), int(c)) for i, c in np.argwhere(wrong)}


def test_every_suspect_is_a_row(report: Any, tmp_path: Path) -> None:
    """The most suspicious first."""
    file, found = tmp_path / "s.csv", report.decisions
    count = write_suspects(file, report)
    table = read(file)
    right = np.where(found.labels == 1, found.probabilities, 1 - found.probabilities)
    assert count == len(table.rows) == ((found.labels >= 0) & (right < 0.5)).sum()
    assert (np.diff(table.self_confidence) >= 0).all()
    assert set(table.path) <= set(HOSTILE) | set(found.paths)
    for row in table.rows:
        image, c = found.paths.index(row.path), CLASSES.index(row.name)
        assert row.label == found.labels[image, c]
        assert np.float32(row.self_confidence) == pytest.approx(right[image, c], abs=1e-6)


def test_unknown_thresholds_are_empty(report: Any, tmp_path: Path) -> None:
    """Labels decided by a model that no record names."""
    report.decisions.thresholds = None
    write_mistakes(tmp_path / "m.csv", report)
    assert set(read(tmp_path / "m.csv").threshold) == {""}


def test_the_command_and_the_api_write_them(packed: Path, tmp_path: Path) -> None:
    """`eval --mistakes --suspects`, and the methods of an evaluation, write the same."""
    images = load_split(packed, "val")
    classes = read_manifest(packed).classes
    drawn = draw(len(images.images), classes, names=[image.name for image in images.images])
    predictions = drawn.write(tmp_path / "p.csv", record=drawn.record())
    files = [str(tmp_path / name) for name in ("m.csv", "s.csv")]
    words = ["eval", str(predictions), str(packed), "--mistakes", files[0], "--suspects", files[1]]
    done = CliRunner().invoke(main, [*words, "--resamples", "0"])
    assert done.exit_code == 0, done.output
    evaluation = vs.evaluate(predictions, packed, resamples=0)
    mistakes = evaluation.write_mistakes(tmp_path / "m2.csv")
    suspects = evaluation.write_suspects(tmp_path / "s2.csv")
    assert f"wrong decisions: {mistakes}, in {files[0]}" in done.output
    assert f"suspicious labels: {suspects}, in {files[1]}" in done.output
    for one, other in (("m.csv", "m2.csv"), ("s.csv", "s2.csv")):
        assert (tmp_path / one).read_bytes() == (tmp_path / other).read_bytes()
    assert set(read(tmp_path / "m.csv").threshold) == {0.5}
    with pytest.raises(vs.Error, match="no such file"):
        evaluation.write_mistakes(tmp_path / "missing" / "m.csv")
