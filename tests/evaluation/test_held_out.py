"""`vocscore eval` judges what the model was not trained on, and says what it knows of that."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from model_doubles import images_of, make_record, make_run
from voc_truth import Truth, plain, write

from shards.classes import VOC_CLASSES
from shards.packing.pack import pack
from shards.sources.voc.read import read_voc
from shards.splitting.splits import split_by_lists
from shards.synthetic.voc import draw_voc
from vocscore.cli.main import main
from vocscore.evaluation.metrics import report

if TYPE_CHECKING:
    from pathlib import Path

TRAIN, VAL, TEST = 24, 16, 8


class Everything:
    """Predictions for the three splits of the drawn set."""

    def __init__(self, tree: Path) -> None:
        self.truth = {split: Truth(tree, split) for split in ("train", "val", "test")}
        self.paths = [path for truth in self.truth.values() for path in truth.paths]
        self.guesses = np.concatenate([truth.guesses for truth in self.truth.values()])

    def figures(self, *splits: str) -> Any:
        """What the figures of some splits have to be."""
        labels = np.concatenate([self.truth[split].labels for split in splits])
        guesses = np.concatenate([self.truth[split].guesses for split in splits])
        return plain(report(labels, guesses, threshold=0.5).to_json(VOC_CLASSES))


@pytest.fixture(scope="module")
def everything(voc_tree: Path) -> Everything:
    return Everything(voc_tree)


@pytest.fixture
def table(everything: Everything, tmp_path: Path) -> Path:
    """Every image of the drawn set, scored."""
    return write(tmp_path / "p.csv", everything.paths, everything.guesses)


def pack_again(tree: Path, out: Path, *, splits: Any = None, resize: int | None = None) -> Path:
    """The tree as one shard a split."""
    annotated = read_voc(tree)
    pack(
        annotated,
        splits or split_by_lists(annotated),
        out,
        classes=VOC_CLASSES,
        shard_samples=100,
        verify=False,
        max_bad=0,
        max_pixels=10**6,
        resize=resize,
        quality=95,
        workers=1,
        overwrite=False,
        settings={} if resize is None else {"resize": resize, "quality": 95},
    )
    return out


def judge(*words: object) -> tuple[dict[str, Any], str]:
    """The JSON and the text of a command that must succeed."""
    file = words[0].with_name("eval.json")  # type: ignore[attr-defined]
    fixed = ["--threshold", 0.5, "--resamples", 0, "--json", file]
    done = CliRunner().invoke(main, ["eval", *(str(word) for word in (*words, *fixed))])
    assert done.exit_code == 0, done.output
    return json.loads(file.read_text()), done.output


def refuse(*words: object) -> str:
    """The one line of a command that must fail with exit code 2."""
    done = CliRunner().invoke(main, ["eval", *map(str, words), "--threshold", "0.5"])
    assert done.exit_code == 2, done.output
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
    return done.output


def figures(value: dict[str, Any]) -> dict[str, Any]:
    """The part of the JSON that `Report.to_json` gives."""
    kept = ("mean_average_precision", "samples", "micro", "macro", "classes", "pictures")
    return {name: value[name] for name in kept}


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


def test_what_the_validation_split_chose_is_said(packed: Path, table: Path, tmp_path: Path) -> None:
    """Thresholds that were fitted on images which are judged flatter, and the text says whose."""
    make_record(table, make_run(tmp_path / "run", packed, thresholds="f1"), rows=48)
    value, text = judge(table, packed)
    assert (value["validated_on"], value["chosen_on_validation"]) == (VAL, ["thresholds"])
    line = f"{VAL} of these {VAL + TEST} images were validated on, and chose the thresholds"
    assert line in text
    assert "CHOSEN" not in judge(table, packed, "--split", "test")[1]


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


def test_the_record_is_no_prediction(packed: Path, table: Path, tmp_path: Path) -> None:
    """Given in place of the predictions it is refused, and --json does not overwrite it."""
    record = make_record(table, make_run(tmp_path / "run", packed), rows=48)
    before = record.read_bytes()
    assert "JSON" in refuse(record, packed)
    assert "this is the record of" in refuse(table, packed, "--json", record)
    assert record.read_bytes() == before


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
