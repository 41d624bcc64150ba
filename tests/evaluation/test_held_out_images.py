"""Images that were trained on are found again in other shards, splits and folders."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from held_out_sets import TRAIN, Everything, figures, judge, pack_again
from model_doubles import images_of, make_record, make_run
from voc_truth import write

from shards.sources.voc.read import read_voc
from shards.synthetic.voc import draw_voc

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def everything(voc_tree: Path) -> Everything:
    return Everything(voc_tree)


@pytest.fixture
def table(everything: Everything, tmp_path: Path) -> Path:
    """Every image of the drawn set, scored."""
    return write(tmp_path / "p.csv", everything.paths, everything.guesses)


def test_the_same_set_in_other_shards_is_the_same(
    packed: Path, voc_tree: Path, table: Path, tmp_path: Path
) -> None:
    """Cut into shards of another size, and with run and first shards gone, splits still decide."""
    again = pack_again(voc_tree, tmp_path / "again")
    first = shutil.copytree(packed, tmp_path / "first")
    run = make_run(tmp_path / "run", first)
    make_record(table, run, rows=48)
    shutil.rmtree(run)
    shutil.rmtree(first)
    assert (again / "dataset.json").read_bytes() != (packed / "dataset.json").read_bytes()
    value, _ = judge(table, again)
    assert (value["splits"], value["trained_on_known_by"]) == (["val", "test"], "record")


@pytest.mark.parametrize("known", ["run", "shards", "old run"])
@pytest.mark.parametrize("split", [None, "train", "val", "all"])
def test_another_split_of_the_images_is_compared_one_by_one(
    packed: Path,
    *,
    voc_tree: Path,
    table: Path,
    tmp_path: Path,
    known: str,
    split: str | None,
) -> None:
    """Divided again, each image is looked up by its content: in the run, or in the first shards."""
    samples = read_voc(voc_tree).samples
    splits = {"train": samples[::2], "val": samples[1::2]}
    again = pack_again(voc_tree, tmp_path / "again", splits=splits)
    first = shutil.copytree(packed, tmp_path / "first")
    run = make_run(tmp_path / "run", first, old=known == "old run")
    make_record(table, run, rows=48)
    if known == "run":
        shutil.rmtree(first)
    if known == "shards":
        shutil.rmtree(run)
    trained = images_of(packed, "train").keys()
    parts = {name: {sample.path for sample in some} for name, some in splits.items()}
    value, text = judge(table, again, *(["--split", split] if split else []))
    if split is None:
        held_out = {name: paths - trained for name, paths in parts.items()}
        assert value["trained_on"] == 0
        assert value["pictures"] == 48 - TRAIN
        counted = {name: counts["compared"] for name, counts in value["images_by_split"].items()}
        assert counted == {name: len(paths) for name, paths in held_out.items()}
        out = {name: len(paths & trained) for name, paths in parts.items()}
        assert value["left_out_trained_on"] == out
        assert f"by split: train {len(held_out['train'])} of {len(held_out['train'])}, val" in text
    else:
        paths = set().union(*(parts[name] for name in parts if split in (name, "all")))
        assert value["trained_on"] == len(paths & trained)
        assert f"{len(paths & trained)} of these {len(paths)} images were trained on" in text
    assert value["trained_on_known_by"] == "record"


def test_images_of_other_bytes_are_other_images(
    packed: Path, tmp_path: Path, everything: Everything
) -> None:
    """A set with the same names, and no image in common, is judged whole; the text says both."""
    other = draw_voc(tmp_path / "VOC2012", images=48, seed=2)
    shards = pack_again(other, tmp_path / "other")
    theirs = Everything(other)
    assert set(theirs.paths) & set(everything.paths)
    assert not set(images_of(packed, "train").values()) & set(images_of(shards, "train").values())
    table = write(tmp_path / "p.csv", theirs.paths, theirs.guesses)
    make_record(table, make_run(tmp_path / "run", packed), rows=48)
    value, text = judge(table, shards)
    assert value["splits"] == ["train", "val", "test"]
    assert (value["trained_on"], value["left_out_trained_on"]) == (0, {})
    assert "none of these 48 images was trained on" in text
    assert "have the path of a training image, but other bytes" in text
    assert figures(value) == figures(theirs.figures("train", "val", "test"))


def test_images_encoded_anew_are_known_by_their_paths(
    packed: Path, voc_tree: Path, table: Path, tmp_path: Path
) -> None:
    """A set packed with --resize has other bytes of the same images."""
    samples = read_voc(voc_tree).samples
    splits = {"val": samples[::2], "test": samples[1::2]}
    small = pack_again(voc_tree, tmp_path / "small", splits=splits, resize=32)
    make_record(table, make_run(tmp_path / "run", packed), rows=48)
    value, text = judge(table, small)
    assert (value["pictures"], sum(value["left_out_trained_on"].values())) == (48 - TRAIN, TRAIN)
    assert "compared by path" in text


def test_rows_of_a_copied_folder_are_known_too(
    packed: Path, everything: Everything, tmp_path: Path
) -> None:
    """Matched by how paths end, images are trained on or not as they are in the shards."""
    names = [f"/mnt/copy/{path.rpartition('/')[2]}" for path in everything.paths]
    table = write(tmp_path / "p.csv", names, everything.guesses)
    make_record(table, make_run(tmp_path / "run", packed), rows=48)
    value, _ = judge(table, packed)
    assert (value["splits"], value["matched_by"]) == (["val", "test"], "ending")
    assert value["left_out_trained_on"] == {"train": TRAIN}


def test_where_nothing_can_be_compared_it_is_an_assumption(
    packed: Path, voc_tree: Path, table: Path, tmp_path: Path
) -> None:
    """Another set, and run and first shards are gone: the text says what is missing."""
    first = shutil.copytree(packed, tmp_path / "first")
    run = make_run(tmp_path / "run", first)
    make_record(table, run, rows=48)
    shutil.rmtree(first)
    shutil.rmtree(run)
    samples = read_voc(voc_tree).samples
    splits = {"train": samples[::2], "val": samples[1::2]}
    value, text = judge(table, pack_again(voc_tree, tmp_path / "again", splits=splits))
    assert (value["splits"], value["trained_on_known_by"]) == (["val"], "assumption")
    assert f"the model was trained on another dataset, {first}" in text


def test_a_run_that_was_trained_again_is_not_asked(
    packed: Path, voc_tree: Path, table: Path, tmp_path: Path
) -> None:
    """images.csv of a later training in the same folder is not that of the model in the record."""
    samples = read_voc(voc_tree).samples
    again = pack_again(
        voc_tree, tmp_path / "again", splits={"train": samples[::2], "val": samples[1::2]}
    )
    first = shutil.copytree(packed, tmp_path / "first")
    run = make_run(tmp_path / "run", first)
    make_record(table, run, rows=48)
    shutil.rmtree(run)
    make_run(run, again, train="val", val="train")
    shutil.rmtree(first)
    assert judge(table, again)[0]["trained_on_known_by"] == "assumption"
