"""Out-of-fold predictions are held out, whatever the run's own head was trained on."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from model_doubles import make_record, make_run
from test_held_out import Everything, figures, judge, pack_again
from voc_truth import write

from vocscore import info
from vocscore.columns.labels import find_labels
from vocscore.columns.open import open_table

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = 40
"""Of training and validation."""


@pytest.fixture(scope="module")
def everything(voc_tree: Path) -> Everything:
    return Everything(voc_tree)


@pytest.fixture
def table(everything: Everything, tmp_path: Path) -> Path:
    """The images of training and validation, in the order of the run."""
    return write(tmp_path / "p.csv", everything.paths[:IMAGES], everything.guesses[:IMAGES])


def recorded(table: Path, run: Path, **changes: Any) -> Path:
    return make_record(table, run, rows=IMAGES, **{"folds": 5, **changes})


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_every_image_is_judged(
    packed: Path, table: Path, everything: Everything, tmp_path: Path, *, named: bool, told: bool
) -> None:
    """With or without --model, and although the record or the splits say what was trained on."""
    run = make_run(tmp_path / "run", packed)
    recorded(table, run, **({} if told else {"trained_on": None}))
    value, text = judge(table, packed, *(["--model", run] if named else []))
    assert figures(value) == figures(everything.figures("train", "val"))
    assert (value["trained_on"], value["trained_on_known_by"]) == (0, "record")
    assert value["left_out_trained_on"] == {}
    assert value["labelled"] == IMAGES
    assert f"none of these {IMAGES} images was trained on (according to {table}.json)" in text
    assert "each image was scored by the one of 5 heads that was not trained on it" in text
    assert "ASSUMED" not in text


@pytest.mark.parametrize("gone", [True, False])
def test_also_with_a_set_that_was_packed_again(
    packed: Path, voc_tree: Path, table: Path, tmp_path: Path, *, gone: bool
) -> None:
    """As after corrections: whether or not the run and its set can still be compared with."""
    run = make_run(tmp_path / "run", packed)
    record = recorded(table, run)
    if gone:
        shutil.rmtree(run)
        value = json.loads(record.read_text())
        value["trained_on"] |= {"shards": "/nowhere", "shards_sha256": "0", "listing": "0"}
        record.write_text(json.dumps(value))
    again = pack_again(voc_tree, tmp_path / "again", resize=32)
    value, text = judge(table, again)
    assert (value["trained_on"], value["trained_on_known_by"]) == (0, "record")
    assert value["labelled"] == IMAGES
    assert "ASSUMED" not in text


def test_what_validation_chose_is_still_said(packed: Path, table: Path, tmp_path: Path) -> None:
    """Thresholds fitted on the validation labels are biased there, whichever model scored."""
    recorded(table, make_run(tmp_path / "run", packed, thresholds="f1"))
    _value, text = judge(table, packed)
    assert "CHOSEN ON THESE: 16 of these 40 images were validated on" in text


def test_the_page_takes_them_as_held_out(packed: Path, table: Path, tmp_path: Path) -> None:
    """Columns of labels, found by the record: every row counts."""
    recorded(table, make_run(tmp_path / "run", packed))
    labels = find_labels(open_table(table), None)
    assert labels is not None
    assert labels.held_out.all()
    assert not labels.trained.any()


def test_info_tells_the_folds(packed: Path, table: Path, tmp_path: Path) -> None:
    """So that nobody takes the rows for the model's own."""
    recorded(table, make_run(tmp_path / "run", packed))
    assert info(table).to_json()["predictions"]["folds"] == 5


@pytest.mark.parametrize("folds", ["5", True, 1.5])
def test_a_damaged_number_of_folds_is_no_record(
    packed: Path, table: Path, tmp_path: Path, folds: object
) -> None:
    """The images are then assumed to be trained on, and the text says why."""
    recorded(table, make_run(tmp_path / "run", packed), folds=folds)
    value, text = judge(table, packed)
    assert value["trained_on_known_by"] == "assumption"
    assert "folds must be a number" in text
