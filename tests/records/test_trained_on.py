"""What a run's config.json says of its training, in every version of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from vocscore.records.trained_on import TrainedOn, read_trained_on

if TYPE_CHECKING:
    from pathlib import Path

OLD = {"shards": "shards", "shards_sha256": "a" * 64, "train_split": "train, extra", "keep": "last"}
PACKED = {
    "path": "/data/shards",
    "listing": "b" * 64,
    "encoding": "64, quality 95",
    "train_images": 7,
    "train_images_sha256": "c" * 64,
}


def read(run: Path, config: Any) -> TrainedOn | None:
    (run / "config.json").write_text(json.dumps(config))
    return read_trained_on(run)


def test_an_older_run_names_its_splits_and_its_set(tmp_path: Path) -> None:
    """Without the later fields, the rest is known all the same."""
    assert read(tmp_path, OLD) == TrainedOn(
        shards="shards",
        shards_sha256="a" * 64,
        train_splits=("train", "extra"),
        val_splits=("val",),
        chosen=(),
    )


def test_a_run_says_where_its_set_was_and_what_was_in_it(tmp_path: Path) -> None:
    """The absolute place goes before the one that was typed; it comes back through JSON."""
    found = read(tmp_path, {**OLD, "val_split": "test", "packed": PACKED})
    assert found is not None
    assert (found.shards, found.listing, found.train_images) == ("/data/shards", "b" * 64, 7)
    assert found.val_splits == ("test",)
    assert TrainedOn.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({}, ()),
        ({"keep": "best"}, ("epoch",)),
        ({"patience": 3}, ("epoch",)),
        ({"thresholds": "f1", "calibrate": True}, ("thresholds", "temperature")),
        ({"head": "csra"}, ("lambda",)),
        ({"head": "csra", "csra_lambda": 0.1, "solver": "auto", "keep": "best"}, ("epoch",)),
        ({"solver": "auto", "keep": "best", "patience": 3}, ()),
        ({"solver": "auto", "keep": "best", "tune": "all"}, ("epoch",)),
    ],
)
def test_what_the_validation_split_chose(
    tmp_path: Path, settings: dict[str, Any], chosen: tuple[str, ...]
) -> None:
    """The epoch that was kept, thresholds, a temperature: each makes its figures too good."""
    defaults = {"keep": "last", "patience": None, "thresholds": "fixed", "calibrate": False}
    found = read(tmp_path, {**OLD, **defaults, **settings})
    assert found is not None
    assert found.chosen == chosen


@pytest.mark.parametrize("config", [[], {}, {"shards": 3}, {**OLD, "shards_sha256": None}, "run"])
def test_a_config_that_says_nothing(tmp_path: Path, config: Any) -> None:
    """Another file, or a folder without one: nothing is known, and nothing is raised."""
    assert read(tmp_path, config) is None
    assert read_trained_on(tmp_path / "absent") is None
