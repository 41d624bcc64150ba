"""Out-of-fold predictions: every labeled image is judged by a head that was not trained on it."""

from __future__ import annotations

import csv
import json
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from small_training import fit, pack_set

import vocscore as vs
from shards.errors import Error
from shards.paths import shown
from shards.sample import AnnotatedSet, Sample
from shards.sources.voc.read import read_voc
from shards.splitting.folds import assign_folds
from vocscore.cli.main import main
from vocscore.config.groups import build
from vocscore.config.training import DataConfig, TrainConfig
from vocscore.errors import DivergedError, TrainError
from vocscore.models.card_file import checkpoint_hash
from vocscore.training import folds
from vocscore.training.features import Features
from vocscore.training.folds import Division, divide, train_folds
from vocscore.training.splits import load_splits

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FOLDS = 3
SETTINGS: dict[str, Any] = {
    "backbone": "tiny",
    "learning_rate": 0.5,
    "epochs": 4,
    "batch_size": 8,
    "folds": FOLDS,
}


class StopError(Exception):
    """In place of whatever stops a training."""


def rows_of(file: Path) -> tuple[list[str], NDArray[np.float64], list[str]]:
    """Paths, probabilities and labels, by the csv module alone."""
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as opened:
        header, *rows = csv.reader(opened)
    assert header[:3] == ["path", "status", "error"]
    assert header[-1] == "labels"
    assert {row[1] for row in rows} == {"ok"}
    return [r[0] for r in rows], np.array([r[3:-1] for r in rows], float), [r[-1] for r in rows]


def brute_force(
    x: NDArray[np.float64], y: NDArray[np.int8], *, epochs: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A linear head trained by SGD with momentum 0.9 from zero, in NumPy and float64."""
    weight, bias = np.zeros((y.shape[1], x.shape[1])), np.zeros(y.shape[1])
    speed = [np.zeros_like(weight), np.zeros_like(bias)]
    for epoch in range(1, epochs + 1):
        order = np.random.default_rng((seed, epoch)).permutation(len(x))
        cuts = list(range(8, len(order), 8))
        if cuts and len(order) - cuts[-1] == 1:
            cuts.pop()
        for rows in np.split(order, cuts):
            counts = y[rows] >= 0
            given = 1 / (1 + np.exp(-(x[rows] @ weight.T + bias)))
            error = np.where(counts, given - (y[rows] == 1), 0) / max(counts.sum(), 1)
            for place, slope in enumerate((error.T @ x[rows], error.sum(0))):
                speed[place] = 0.9 * speed[place] + slope
            weight -= 0.5 * speed[0]
            bias -= 0.5 * speed[1]
    return weight, bias


@pytest.mark.parametrize("keep", ["last", "best"])
def test_each_probability_is_that_of_a_head_without_its_fold(
    drawn_shards: Path, voc_tree: Path, tmp_path: Path, keep: str
) -> None:
    """A head trained by hand on the other folds, as long as the run's kept one, gives the same."""
    done = fit(drawn_shards, tmp_path, **SETTINGS, keep=keep)
    paths, found, _labels = rows_of(tmp_path / "out_of_fold.csv")
    splits = load_splits(drawn_shards, DataConfig())
    assert paths == [image.name for part in (splits.train, splits.val) for image in part.images]
    labels = np.concatenate([splits.train.labels, splits.val.labels])
    with vs.load(tmp_path, device="cpu") as model:
        features = model.features([voc_tree / path for path in paths]).astype(float)
    fold = assign_folds(labels == 1, FOLDS, keys=paths, seed=0)
    off = []
    for number in range(FOLDS):
        held = fold == number
        for rest in (~held, np.ones_like(held)):
            weight, bias = brute_force(features[rest], labels[rest], epochs=done.kept)
            expected = 1 / (1 + np.exp(-(features[held] @ weight.T + bias)))
            off.append(np.abs(found[held] - expected).max())
    assert max(off[::2]) < 1e-4
    assert min(off[1::2]) > 1e-2, "a head that has seen the fold gives others"


def test_own_labels_do_not_matter() -> None:
    """Other labels in one fold leave its own logits as they were, bit by bit, and no others."""
    generator = np.random.default_rng(0)
    values = torch.from_numpy(generator.normal(size=(30, 5))).float()
    labels = (generator.random((30, 4)) < 0.4).astype(np.int8)
    fold = np.arange(30) % FOLDS
    config = build(TrainConfig, {"standardize": True, "ema": 0.5})

    def logits(given: NDArray[np.int8]) -> NDArray[np.float32]:
        division = Division(tuple(map(str, range(30))), np.arange(30), given, fold, FOLDS)
        return train_folds(Features(values, given), division, config, epochs=2).logits

    before = logits(labels)
    changed = labels.copy()
    changed[fold == 1] = 1 - changed[fold == 1]
    after = logits(changed)
    assert (before[fold == 1] == after[fold == 1]).all()
    assert (before[fold != 1] != after[fold != 1]).any(axis=1).all()


def test_the_model_is_that_of_a_run_without_folds(few_shards: Path, tmp_path: Path) -> None:
    """Folds change no file of the run but its settings, and an overwrite removes what they add."""
    fit(few_shards, tmp_path / "plain", epochs=2)
    fit(few_shards, tmp_path / "folds", epochs=2, folds=2)
    plain, more = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("plain", "folds")
    )
    added = {"out_of_fold.csv", "out_of_fold.csv.json"}
    assert more.keys() - plain.keys() == added
    assert {name for name, data in plain.items() if more[name] != data} == {"config.json"}
    fit(few_shards, tmp_path / "folds", epochs=2, overwrite=True)
    assert not added & {path.name for path in (tmp_path / "folds").iterdir()}


def test_labels_are_decided_by_the_fitted_card(drawn_shards: Path, tmp_path: Path) -> None:
    """Thresholds and temperature are those of the run's model, and the record names it."""
    fit(drawn_shards, tmp_path, **SETTINGS, thresholds="f1", calibrate=True)
    card = json.loads((tmp_path / "model.json").read_text())
    record = json.loads((tmp_path / "out_of_fold.csv.json").read_text())
    _paths, found, labels = rows_of(tmp_path / "out_of_fold.csv")
    assert card["temperature"] != 1
    for row, said in zip(found, labels, strict=True):
        above = row.astype(np.float32) >= np.array(card["thresholds"], np.float32)
        assert said == ";".join(np.array(card["classes"])[above])
    assert record["model"]["threshold"] == card["thresholds"]
    assert record["model"]["sha256"] == checkpoint_hash(tmp_path)
    assert record["folds"] == FOLDS
    assert record["rows"] == len(found)
    assert record["output"]["bytes"] == (tmp_path / "out_of_fold.csv").stat().st_size


def test_a_stopped_run_resumes_with_its_folds(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before the predictions are written, it ends with the same; not with other folds."""
    fit(few_shards, tmp_path / "whole", folds=2)

    def stop(*_arguments: Any, **_options: Any) -> None:
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr("vocscore.training.fitting_folds.write_out_of_fold", stop)
        with pytest.raises(StopError):
            fit(few_shards, tmp_path / "cut", folds=2)
    for other in (3, None):
        with pytest.raises(TrainError, match=f"folds was 2 and is {other}"):
            fit(few_shards, tmp_path / "cut", folds=other, resume=True)
    fit(few_shards, tmp_path / "cut", folds=2, resume=True)
    for name in ("out_of_fold.csv", "model.safetensors", "model.json", "metrics.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "cut" / "resume.pt").exists()


def test_a_fold_that_diverges_costs_only_the_predictions(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is finished, and the error says which fold and what is missing."""
    whole = folds._logits

    def diverge(train: Features, *arguments: Any, **options: Any) -> Any:
        train.values[0] = torch.nan
        return whole(train, *arguments, **options)

    monkeypatch.setattr("vocscore.training.folds._logits", diverge)
    with pytest.raises(DivergedError, match=r"fold 1 of 2: .*without out-of-fold predictions"):
        fit(few_shards, tmp_path, folds=2)
    assert (tmp_path / "model.json").exists()
    assert not (tmp_path / "resume.pt").exists()
    assert not (tmp_path / "out_of_fold.csv").exists()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"tune": "all"}, "`folds` needs `tune='head'`"),
        ({"folds": 10}, "9 different images cannot be divided into 10 folds"),
    ],
)
def test_what_cannot_be_folded_is_refused(
    few_shards: Path, tmp_path: Path, changes: dict[str, Any], line: str
) -> None:
    """In one line, before anything is written."""
    with pytest.raises(Error, match=line) as caught:
        fit(few_shards, tmp_path / "run", **{"folds": 2, **changes})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_class_named_like_a_column_is_refused(voc_tree: Path, tmp_path: Path) -> None:
    """Before anything is written, though a run without folds may have such a class."""
    annotated = read_voc(voc_tree)
    some = [Sample(s.path, ("labels",)) for s in annotated.samples[:6]]
    splits = {"train": some[:3], "val": some[3:]}
    shards = pack_set(annotated, splits, tmp_path / "set", classes=("labels",))
    with pytest.raises(Error, match="the class 'labels' has the name of another column"):
        fit(shards, tmp_path / "run", folds=2)
    assert not (tmp_path / "run").exists()


def test_copies_and_images_of_both_splits(voc_tree: Path, tmp_path: Path) -> None:
    """An image in both splits has one row; copies of a file are held out together."""
    (tmp_path / "tree" / "JPEGImages").mkdir(parents=True)
    annotated = read_voc(voc_tree)
    one = annotated.samples[:9]
    for sample in one:
        data = (voc_tree / sample.path).read_bytes()
        for folder in ("JPEGImages", "copies"):
            file = tmp_path / "tree" / sample.path.replace("JPEGImages", folder)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
    copies = [Sample(s.path.replace("JPEGImages", "copies"), s.present) for s in one]
    shards = pack_set(
        AnnotatedSet(tmp_path / "tree", (*one, *copies), {}),
        {"train": [*one, *copies[:2]], "val": [*one[:3], *copies[2:]]},
        tmp_path / "set",
    )
    division = divide(load_splits(shards, DataConfig()), folds=3, seed=0)
    assert sorted(division.names) == sorted(s.path for s in (*one, *copies))
    fold = dict(zip(division.names, division.fold.tolist(), strict=True))
    assert all(fold[a.path] == fold[b.path] for a, b in zip(one, copies, strict=True))
    assert len(set(fold.values())) == 3


@pytest.mark.parametrize("classes", [("cat", "dog"), ("a;b", "c,\nd")])
def test_the_printed_command_lists_suspects(
    voc_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    classes: tuple[str, str],
) -> None:
    """As printed, of a class that one image shows too, which is named."""
    annotated = read_voc(voc_tree)
    some = [Sample(s.path, classes[: number % 2]) for number, s in enumerate(annotated.samples[:8])]
    some[0] = Sample(some[0].path, classes[1:])
    splits = {"train": some[:5], "val": some[5:]}
    shards = pack_set(annotated, splits, tmp_path / "set", classes=classes)
    monkeypatch.chdir(tmp_path)
    fast = ["--backbone", "tiny", "--weights", "none", "--size", "64", "--epochs", "2"]
    words = ["train", shards.name, "-o", "run", "--folds", "3", *fast]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    (line,) = (line for line in done.output.splitlines() if line.startswith("suspicious labels: "))
    printed = shlex.split(line.partition(": ")[2])
    then = CliRunner().invoke(main, printed[printed.index("eval") :])
    assert then.exit_code == 0, then.output
    with (tmp_path / "suspects.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert (some[0].path, classes[1]) in {(row["path"], row["class"]) for row in found}
    assert f"has not seen the class: {shown(classes[1])}" in done.output
