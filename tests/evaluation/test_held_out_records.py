"""The record beside the predictions says what was trained on, and what counts where it cannot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from held_out_sets import TRAIN, Everything, judge, refuse
from model_doubles import make_record, make_run
from voc_truth import write

from vocscore.evaluation.evaluate import evaluate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def everything(voc_tree: Path) -> Everything:
    return Everything(voc_tree)


@pytest.fixture
def table(everything: Everything, tmp_path: Path) -> Path:
    """Every image of the drawn set, scored."""
    return write(tmp_path / "p.csv", everything.paths, everything.guesses)


def test_without_a_record_names_of_splits_decide_and_that_is_said(
    packed: Path, table: Path
) -> None:
    """An assumption in the text and in the JSON; --split goes before it."""
    value, text = judge(table, packed)
    assert (value["splits"], value["trained_on_known_by"]) == (["val", "test"], "assumption")
    assert (
        "ASSUMED by the names of the splits, because there is no record beside the predictions: "
        "none of these 24 images was trained on (to be certain, name the"
    ) in text
    value, text = judge(table, packed, "--split", "all")
    assert value["trained_on"] == TRAIN
    assert "24 of these 48 images were trained on" in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, "version 2 is not supported"),
        ({"format": "mine"}, "format 'mine' is not 'vocscore predictions'"),
        ({"trained_on": None}, "no config.json in the model's folder"),
        ({"classes": ["cat"]}, "is the record of other predictions"),
    ],
)
def test_a_record_that_does_not_help_is_said_to(
    packed: Path, table: Path, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    """What stands there and why it does not count; names of splits decide."""
    make_record(table, make_run(tmp_path / "run", packed), rows=48, **changes)
    value, text = judge(table, packed)
    assert says in text
    assert (value["splits"], value["trained_on_known_by"]) == (["val", "test"], "assumption")


def test_rows_that_went_since_are_said(
    packed: Path, everything: Everything, tmp_path: Path
) -> None:
    """A table with fewer rows than it was written with: half a file is no silent half."""
    table = write(tmp_path / "p.csv", everything.paths[:40], everything.guesses[:40])
    make_record(table, make_run(tmp_path / "run", packed), rows=48)
    assert "was written for 48 rows, but now there are 40" in judge(table, packed)[1]


def test_a_table_that_was_changed_since_is_said_to_be(
    packed: Path, table: Path, tmp_path: Path
) -> None:
    """Another table under the record's name, or the same saved again: a remark, and no more."""
    size = table.stat().st_size
    for written, remark in ((size, False), (size + 1, True)):
        make_record(
            table,
            make_run(tmp_path / f"run{written}", packed),
            rows=48,
            output={"format": "csv", "bytes": written},
        )
        value, text = judge(table, packed)
        assert ("was changed since its record was written" in text) == remark
        assert bool(value["notes"]) == remark
        assert value["trained_on_known_by"] == "record"


def test_a_folder_of_parts_has_its_record_beside_it(
    packed: Path, everything: Everything, tmp_path: Path
) -> None:
    """DIR.json; it is no part, and is not read as one."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, rows in enumerate((slice(0, 30), slice(30, 48))):
        part = folder / f"part-{number:06d}.csv"
        write(part, everything.paths[rows], everything.guesses[rows])
    make_record(folder, make_run(tmp_path / "run", packed), rows=48)
    value, text = judge(folder, packed)
    assert (value["splits"], value["trained_on_known_by"]) == (["val", "test"], "record")
    assert f"according to {tmp_path / 'parts.json'}" in text


def test_the_record_of_what_a_link_leads_to_counts(
    packed: Path, table: Path, tmp_path: Path
) -> None:
    """A link to predictions has no record of its own."""
    make_record(table, make_run(tmp_path / "run", packed), rows=48)
    link = tmp_path / "elsewhere" / "latest.csv"
    link.parent.mkdir()
    link.symlink_to(table)
    assert judge(link, packed)[0]["trained_on_known_by"] == "record"


def test_a_softmax_model_decides_for_one_class(
    packed: Path, table: Path, everything: Everything, tmp_path: Path
) -> None:
    """At any threshold; also where the record is that of a link's target."""
    record = make_record(table, make_run(tmp_path / "run", packed), rows=48)
    value = json.loads(record.read_bytes())
    value["model"]["activation"] = "softmax"
    record.write_text(json.dumps(value))
    link = tmp_path / "elsewhere" / "latest.csv"
    link.parent.mkdir()
    link.symlink_to(table)
    best = dict(zip(everything.paths, everything.guesses.argmax(axis=1), strict=True))
    for file in (table, link):
        decisions = evaluate(file, packed, split="all", threshold=0.1, resamples=0).decisions
        assert (decisions.probabilities >= 0.1).sum() > len(best)
        assert decisions.predicted.sum(axis=1).tolist() == [1] * len(best)
        assert decisions.predicted.argmax(axis=1).tolist() == [best[p] for p in decisions.paths]


def test_the_record_is_no_prediction(packed: Path, table: Path, tmp_path: Path) -> None:
    """Given in place of the predictions it is refused, and --json does not overwrite it."""
    record = make_record(table, make_run(tmp_path / "run", packed), rows=48)
    before = record.read_bytes()
    assert "JSON" in refuse(record, packed)
    assert "this is the record of" in refuse(table, packed, "--json", record)
    assert record.read_bytes() == before
