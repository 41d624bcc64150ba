"""The labels of a table's rows, and which of its images are held out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from written_predictions import draw

from shards.manifest import manifest_hash, read_manifest
from shards.reader import load_split
from vocscore.columns.labels import UNLABELED, find_labels
from vocscore.columns.open import open_table
from vocscore.errors import EvalError
from vocscore.records.trained_on import TrainedOn
from vocscore.scoring.formats.choice import choose

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.records.score_record import ScoreRecord


def trained_on_val(packed: Path, finished: str | None) -> tuple[ScoreRecord, list[str]]:
    """A record that contradicts the names of splits: trained on val, validated on train."""
    told = TrainedOn(str(packed), manifest_hash(packed), ("val",), ("train",), ())
    names = [image.name for split in ("train", "val") for image in load_split(packed, split).images]
    drawn = draw(len(names), read_manifest(packed).classes, names=names)
    return drawn.record(trained_on=told, finished=finished), names


def test_rows_have_the_labels_of_their_images(packed: Path, tmp_path: Path) -> None:
    """By path; others are unlabeled. The set is found by the record."""
    record, names = trained_on_val(packed, "2026-01-01T00:00:01+00:00")
    classes = read_manifest(packed).classes
    drawn = draw(len(names) + 2, classes, names=["x.jpg", *names, "y.jpg"], failing=(4,))
    table = open_table(drawn.write(tmp_path / "p.csv", record=record))
    labels = find_labels(table, None)
    assert labels is not None
    want = np.concatenate([load_split(packed, split).labels for split in ("train", "val")])
    assert labels.has.tolist() == [False, *[True] * len(names), False]
    for c in range(len(classes)):
        assert labels.column(c).tolist() == [UNLABELED, *want[:, c].tolist(), UNLABELED]
    np.testing.assert_array_equal(labels.row(1), want[0])
    np.testing.assert_array_equal(labels.table(np.array([3, 1])), want[[2, 0]])
    train = len(load_split(packed, "train").images)
    trained = [False, *[False] * train, *[True] * (len(names) - train), False]
    assert labels.trained.tolist() == trained
    assert labels.held_out.tolist() == [
        has and not seen and row != 4
        for row, (has, seen) in enumerate(zip(labels.has, trained, strict=True))
    ]
    assert (labels.name(0), labels.name(1)) == ("", names[0])


@pytest.mark.parametrize("named", ["p.csv", "p.csv.parts"])
def test_an_unfinished_run_is_judged_by_its_own_record(
    named: str, packed: Path, tmp_path: Path
) -> None:
    """Not by the names of splits: what the model was trained on is known from the start."""
    record, names = trained_on_val(packed, None)
    drawn = draw(len(names), read_manifest(packed).classes, names=names)
    work = tmp_path / "p.csv.parts"
    work.mkdir()
    (work / "started.json").write_bytes(record.to_bytes())
    rows = drawn.open(choose(tmp_path / "p.csv", folder_format=None))
    with (work / "part-000000.csv").open("wb") as file:
        rows.write(file, drawn.rows)
    (work / "part-000000.json").write_text(json.dumps({"rows": len(names)}))
    labels = find_labels(open_table(tmp_path / named), None)
    assert labels is not None
    train = len(load_split(packed, "train").images)
    assert labels.trained.tolist() == [row >= train for row in range(len(names))]


def test_a_set_without_these_images_is_refused(packed: Path, tmp_path: Path) -> None:
    """With one line if it was named; else there are no labels."""
    drawn = draw(3, read_manifest(packed).classes, names=("a", "b", "c"))
    table = open_table(drawn.write(tmp_path / "p.csv"))
    assert find_labels(table, None) is None
    with pytest.raises(EvalError, match="no predicted path matches a labeled one"):
        find_labels(table, packed)
