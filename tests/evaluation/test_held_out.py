"""`vocscore eval` judges what the model was not trained on, and says what it knows of that."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from held_out_sets import TEST, TRAIN, VAL, Everything, figures, judge, pack_again, refuse
from model_doubles import make_record, make_run
from voc_truth import write

from shards.sources.voc.read import read_voc

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def everything(voc_tree: Path) -> Everything:
    return Everything(voc_tree)


@pytest.fixture
def table(everything: Everything, tmp_path: Path) -> Path:
    """Every image of the drawn set, scored."""
    return write(tmp_path / "p.csv", everything.paths, everything.guesses)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("way", ["record", "model"])
@pytest.mark.parametrize(
    ("train", "val", "judged"),
    [
        ("train", "val", ("val", "test")),
        ("train, val", "test", ("test",)),
        ("val", "test", ("train", "test")),
        ("test", "val", ("train", "val")),
    ],
)
def test_by_default_the_rest_is_judged(
    packed: Path,
    *,
    table: Path,
    everything: Everything,
    tmp_path: Path,
    way: str,
    old: bool,
    train: str,
    val: str,
    judged: tuple[str, ...],
) -> None:
    """Whatever was trained on, figures are those of the other splits; text and JSON say it."""
    run = make_run(tmp_path / "run", packed, train=train, val=val, old=old)
    words: list[object] = [table, packed]
    if way == "record":
        make_record(table, run, rows=48)
        shutil.rmtree(run)
    else:
        words += ["--model", run]
    value, text = judge(*words)
    assert figures(value) == figures(everything.figures(*judged))
    assert value["splits"] == list(judged)
    sizes = {split: len(truth.paths) for split, truth in everything.truth.items()}
    out = {split: size for split, size in sizes.items() if split not in judged}
    number = sum(sizes[split] for split in judged)
    assert value["left_out_trained_on"] == out
    assert (value["trained_on"], value["trained_on_known_by"]) == (0, way)
    assert (value["labelled"], value["missing"], value["unlabelled"]) == (number, 0, 0)
    for split in judged:
        counts = {"labelled": sizes[split], "compared": sizes[split], "trained_on": 0}
        assert value["images_by_split"][split] == counts
    assert f"scored {number} of {number} labeled images ({', '.join(judged)})" in text
    assert f"none of these {number} images was trained on (according to " in text
    listed = ", ".join(f"{size} of {split}" for split, size in out.items())
    assert f"left out, because trained on: {listed} (--split all" in text
    assert "ASSUMED" not in text


@pytest.mark.parametrize(
    ("split", "judged", "seen"),
    [
        ("all", ("train", "val", "test"), TRAIN),
        ("train", ("train",), TRAIN),
        ("train,val", ("train", "val"), TRAIN),
        ("val, train", ("val", "train"), TRAIN),
        ("val", ("val",), 0),
    ],
)
def test_what_is_asked_for_is_judged_and_counted(
    packed: Path,
    *,
    table: Path,
    everything: Everything,
    tmp_path: Path,
    split: str,
    judged: tuple[str, ...],
    seen: int,
) -> None:
    """`24 of these 40 images were trained on`, in the text and in the JSON."""
    make_record(table, make_run(tmp_path / "run", packed), rows=48)
    value, text = judge(table, packed, "--split", split)
    assert figures(value) == figures(everything.figures(*judged))
    number = sum(len(everything.truth[name].paths) for name in judged)
    assert value["trained_on"] == seen
    assert value["left_out_trained_on"] == {}
    if seen:
        assert f"NOT HELD OUT: {seen} of these {number} images were trained on" in text
        assert value["images_by_split"]["train"]["trained_on"] == TRAIN
    else:
        assert f"none of these {number} images was trained on" in text


def test_what_the_validation_split_chose_is_said(packed: Path, table: Path, tmp_path: Path) -> None:
    """Thresholds that were fitted on images which are judged flatter, and the text says whose."""
    make_record(table, make_run(tmp_path / "run", packed, thresholds="f1"), rows=48)
    value, text = judge(table, packed)
    assert (value["validated_on"], value["chosen_on_validation"]) == (VAL, ["thresholds"])
    line = f"{VAL} of these {VAL + TEST} images were validated on, and chose the thresholds"
    assert line in text
    assert "CHOSEN" not in judge(table, packed, "--split", "test")[1]


@pytest.mark.parametrize("name", ["train", "trainval"])
def test_a_set_that_was_all_trained_on_has_to_be_asked_for(
    voc_tree: Path, table: Path, tmp_path: Path, name: str
) -> None:
    """One line with both ways on; asked for, the figures come with the count."""
    samples = read_voc(voc_tree).samples
    shards = pack_again(voc_tree, tmp_path / "one", splits={name: samples})
    for words in ([], ["--model", make_run(tmp_path / "run", shards, train=name, val=name)]):
        line = refuse(table, shards, *words)
        assert f"all 48 scored images that have labels (48 of {name})" in line
        assert f"--split {name}" in line
        value, _ = judge(table, shards, "--split", name, *words)
        assert (value["trained_on"], value["pictures"]) == (48, 48)


def test_only_trained_images_were_scored(
    packed: Path, everything: Everything, tmp_path: Path
) -> None:
    """Held-out splits of which nothing was scored do not make an empty table of figures."""
    train = everything.truth["train"]
    table = write(tmp_path / "p.csv", train.paths, train.guesses)
    make_record(table, make_run(tmp_path / "run", packed), rows=24)
    assert "all 24 scored images that have labels (24 of train) were trained on" in refuse(
        table, packed
    )


def test_a_model_that_did_not_make_them_is_refused(
    packed: Path, table: Path, tmp_path: Path
) -> None:
    """--model with another checkpoint than the record's, of other classes, or without a config."""
    run, other = make_run(tmp_path / "run", packed), make_run(tmp_path / "other", packed)
    make_record(table, run, rows=48)
    assert "not the model that made" in refuse(table, packed, "--model", other)
    assert judge(table, packed, "--model", run)[0]["trained_on_known_by"] == "model"
    table.with_name("p.csv.json").unlink()
    assert judge(table, packed, "--model", other)[0]["splits"] == ["val", "test"]
    (other / "config.json").unlink()
    assert "does not say what it was trained on" in refuse(table, packed, "--model", other)
    card = json.loads((run / "model.json").read_text())
    (run / "model.json").write_text(json.dumps({**card, "classes": ["cat"]}))
    assert "its classes differ from the predictions'" in refuse(table, packed, "--model", run)


def test_charts_say_which_images_they_are_of(
    packed: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Splits, number, and how many were trained on stand above every chart."""
    from vocscore.charts import evaluation_charts

    seen: list[str] = []
    monkeypatch.setattr(
        evaluation_charts, "evaluation_charts", lambda *_a, subject, **_k: seen.append(subject)
    )
    judge(table, packed, "--plots", tmp_path / "plots")
    make_record(table, make_run(tmp_path / "run", packed), rows=48)
    judge(table, packed, "--plots", tmp_path / "plots", "--split", "all")
    assert seen == [
        "val, test: 24 images, not trained on (assumed)",
        "train, val, test: 48 images, 24 of them trained on",
    ]
