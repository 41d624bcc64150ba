"""Two runs are compared by what they recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import vocscore as vs

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, *, mean: float | None, cat: float, **config: Any) -> Path:
    """A run with two classes."""
    folder.mkdir()
    averages = {
        name: {"iou": 0.1, "precision": 0.2, "recall": 0.3, "f1": mean or 0}
        for name in ("samples", "micro", "macro")
    }
    classes = {"cat": {"average_precision": cat}, "dog": {"average_precision": None}}
    val = {"loss": 0.5, "mean_average_precision": mean, "classes": classes, **averages}
    (folder / "metrics.json").write_text(json.dumps({"epoch": 1, "val": val}))
    same = {"shards_sha256": "0", "val_split": "val", "packed": {"path": str(folder)}}
    (folder / "config.json").write_text(json.dumps({**same, **config}))
    return folder


def test_settings_and_figures_that_differ(tmp_path: Path) -> None:
    """By the current names of settings; equal ones are not listed."""
    one = run(tmp_path / "a", mean=0.5, cat=0.4, optimiser="sgd", epochs=10)
    two = run(tmp_path / "b", mean=0.75, cat=0.3, optimiser="adamw", epochs=10)
    report = vs.compare(one, two)
    found = report.to_json()
    assert found["settings"] == {"optimizer": ["sgd", "adamw"]}
    assert found["same_validation_images"] is True
    assert found["figures"]["mean_average_precision"] == {
        "first": 0.5,
        "second": 0.75,
        "difference": 0.25,
    }
    assert found["figures"]["micro_f1"]["difference"] == 0.25
    assert found["classes"]["cat"]["difference"] == pytest.approx(-0.1)
    assert found["classes"]["dog"]["difference"] is None
    text = str(report)
    assert "optimizer: sgd -> adamw" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    report.write_classes(tmp_path / "classes.csv")
    assert (tmp_path / "classes.csv").read_text().splitlines()[1].startswith("cat,0.4,0.3,")
    with pytest.raises(vs.Error, match="no changed decisions"):
        report.write_changes(tmp_path / "changes.csv")


def test_other_images_are_said(tmp_path: Path) -> None:
    """Figures of different validation images are not comparable."""
    one = run(tmp_path / "a", mean=0.5, cat=0.4)
    two = run(tmp_path / "b", mean=0.5, cat=0.4, shards_sha256="1")
    assert "different images" in str(vs.compare(one, two))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"val": {}}', '{"val": {"classes": 1}}'])
def test_damaged_runs_are_refused(text: str, tmp_path: Path) -> None:
    """With one line that names them."""
    one = run(tmp_path / "a", mean=0.5, cat=0.4)
    two = run(tmp_path / "b", mean=0.5, cat=0.4)
    (two / "metrics.json").write_text(text)
    with pytest.raises(vs.Error) as error:
        vs.compare(one, two)
    assert str(two) in str(error.value)
    assert "\n" not in str(error.value)
