"""Sets that break trainers: each has a clear outcome."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from small_training import fit, pack_set

import vocscore.training.setup
import vocscore.training.train_head
from shards.errors import DamageError
from shards.reader import LabeledImages, load_split
from shards.sample import AnnotatedSet
from shards.sources.voc.read import read_voc
from vocscore.errors import DivergedError, TrainError
from vocscore.models.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

BEST: Any = {"keep": "best", "learning_rate": 0.5, "batch_size": 8}
BOTH = pytest.mark.parametrize("tune", ["head", "all"])


@pytest.fixture
def relabel(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the splits other labels than the shards have."""

    def use(**changed: Any) -> None:
        def load(folder: Path, split: str) -> LabeledImages:
            found = load_split(folder, split)
            change = changed.get(split)
            return found if change is None else replace(found, labels=change(found.labels.copy()))

        monkeypatch.setattr(vocscore.training.splits, "load_split", load)

    return use


def without(column: int) -> Any:
    def change(labels: np.ndarray) -> np.ndarray:
        labels[:, column] = 0
        return labels

    return change


def all_difficult(labels: np.ndarray) -> np.ndarray:
    return np.full_like(labels, -1)


def no_positive(labels: np.ndarray) -> np.ndarray:
    return np.zeros_like(labels)


@BOTH
@pytest.mark.parametrize("recipe", [{}, {"loss": "asl", "class_weight": 10.0}])
def test_class_without_positives(
    tune: str, recipe: dict[str, Any], few_shards: Path, relabel: Any, tmp_path: Path
) -> None:
    """A class that no training image shows is named, gets rare, and takes part in no mean."""
    relabel(train=without(3), val=without(4))
    done = fit(few_shards, tmp_path, tune=tune, epochs=3, **recipe)
    _, card = load_checkpoint(tmp_path)
    assert card.classes[3] in done.unseen
    assert math.isnan(done.reports["val"].average_precision[4])
    assert math.isfinite(done.val.loss)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["val"]["classes"][card.classes[4]]["average_precision"] is None


@BOTH
@pytest.mark.parametrize("loss", ["bce", "asl"])
def test_one_class_only(tune: str, loss: str, voc_tree: Path, tmp_path: Path) -> None:
    """A set of one class trains, and its network has one logit."""
    annotated = read_voc(voc_tree)
    name = next(iter(annotated.samples[0].present))
    some = tuple(
        replace(
            s,
            present=tuple({name} & set(s.present)),
            difficult=tuple({name} & set(s.difficult)),
        )
        for s in annotated.samples[:12]
    )
    one = AnnotatedSet(annotated.root, some)
    splits = {"train": some[:6], "val": some[6:]}
    shards = pack_set(one, splits, tmp_path / "set", classes=(name,))
    done = fit(shards, tmp_path / "run", tune=tune, loss=loss, calibrate=True, thresholds="f1")
    network, card = load_checkpoint(tmp_path / "run")
    assert card.classes == (name,)
    assert network.head.out_features == 1
    assert math.isfinite(done.val.loss)


def test_empty_split(few_shards: Path, tmp_path: Path) -> None:
    """A split without images is in no set; a manifest that claims one is refused as damaged."""
    import shutil

    shutil.copytree(few_shards, tmp_path / "set")
    with pytest.raises(TrainError, match=r"no split 'none'.*train, val, one.*`val_split`"):
        fit(tmp_path / "set", tmp_path / "run", val_split="none")
    manifest = tmp_path / "set" / "dataset.json"
    written = json.loads(manifest.read_text())
    written["splits"]["none"] = {**written["splits"]["one"], "samples": 0, "shards": []}
    manifest.write_text(json.dumps(written))
    with pytest.raises(
        DamageError, match=r"dataset\.json: split 'none' has unexpected shard names: \[\]"
    ):
        fit(tmp_path / "set", tmp_path / "run", val_split="none")
    assert not (tmp_path / "run").exists()


def test_training_split_of_difficult_labels(few_shards: Path, relabel: Any, tmp_path: Path) -> None:
    """Without a label that counts nothing can be learnt; as positives the same labels can."""
    relabel(train=all_difficult)
    with pytest.raises(
        TrainError, match=r"'train': every label is 'difficult'.*`difficult='positive'`"
    ):
        fit(few_shards, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert fit(few_shards, tmp_path, difficult="positive").train.loss < math.log(2)


@pytest.mark.parametrize("labels", [all_difficult, no_positive])
def test_validation_split_without_a_positive(
    labels: Any, few_shards: Path, relabel: Any, tmp_path: Path
) -> None:
    """Its mAP is undefined: the last epoch is kept, and choosing the best is refused."""
    relabel(val=labels)
    done = fit(few_shards, tmp_path / "run", calibrate=True, thresholds="f1")
    assert math.isnan(done.val.mean_average_precision)
    assert done.kept == 2
    for choice in ({"keep": "best"}, {"patience": 1}):
        with pytest.raises(TrainError, match=r"no positive label.*`keep='last'`"):
            fit(few_shards, tmp_path / "other", **choice)


@BOTH
def test_batch_larger_than_the_set(tune: str, few_shards: Path, tmp_path: Path) -> None:
    """Five images in batches of 500 are one step an epoch, with the result of batches of 5."""
    for size in (5, 500):
        fit(few_shards, tmp_path / str(size), tune=tune, batch_size=size, schedule="cosine")
    found = [load_checkpoint(tmp_path / str(size))[0].state_dict() for size in (5, 500)]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_shards_that_disagree_on_classes(few_shards: Path, voc_tree: Path, tmp_path: Path) -> None:
    """A shard of another set, with other classes, is refused by its name."""
    annotated = read_voc(voc_tree)
    some = annotated.samples[:5]
    pack_set(annotated, {"train": some, "val": some}, tmp_path / "set")
    manifest = tmp_path / "set" / "dataset.json"
    written = json.loads(manifest.read_text())
    written["classes"] = [*written["classes"], "unicorn"]
    manifest.write_text(json.dumps(written))
    with pytest.raises(DamageError, match=r"train-000000\.tar.*21 labels") as caught:
        fit(tmp_path / "set", tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_shards_whose_classes_were_renamed(voc_tree: Path, tmp_path: Path) -> None:
    """A name that the images' own descriptions do not know is refused, and not trained."""
    annotated = read_voc(voc_tree)
    some = annotated.samples[:12]
    pack_set(annotated, {"train": some[:6], "val": some[6:]}, tmp_path / "set")
    manifest = tmp_path / "set" / "dataset.json"
    present = some[0].present[0]
    manifest.write_text(manifest.read_text().replace(f'"{present}"', '"zebra"', 1))
    with pytest.raises(DamageError, match="do not match the class names") as caught:
        fit(tmp_path / "set", tmp_path / "run")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("train", "val"), [("val", "val"), ("train,val", "val"), ("train, train", "val")]
)
def test_splits_that_overlap(train: str, val: str, few_shards: Path, tmp_path: Path) -> None:
    """Nothing is validated on images that were trained on, and none counts twice."""
    with pytest.raises(TrainError, match=r"split '\w+' is named twice"):
        fit(few_shards, tmp_path / "run", train_split=train, val_split=val)


@BOTH
def test_loss_that_is_not_a_number_keeps_the_last_good(
    tune: str, few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Diverging in the third epoch, a run says epoch and step and holds the second's network."""
    fit(few_shards, tmp_path / "two", tune=tune, epochs=2)
    opened = vocscore.training.setup.open_loss
    steps = 0

    def bad(*arguments: Any, **options: Any) -> Any:
        loss = opened(*arguments, **options)

        def diverging(logits: torch.Tensor, labels: torch.Tensor) -> Any:
            nonlocal steps
            total, count = loss(logits, labels)
            steps += torch.is_grad_enabled()  # two steps an epoch
            return (total * math.nan if steps == 6 else total), count

        return diverging

    for module in (vocscore.training.setup, vocscore.training.train_head):
        monkeypatch.setattr(module, "open_loss", bad)
    with pytest.raises(
        DivergedError, match=r"epoch 3, step 2: the loss is nan\..*checkpoint of epoch 2"
    ) as caught:
        fit(few_shards, tmp_path / "run", tune=tune, epochs=5, batch_size=2)
    assert "\n" not in str(caught.value)
    network, _ = load_checkpoint(tmp_path / "run")
    assert all(bool(value.isfinite().all()) for value in network.state_dict().values())
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["epoch"] == 2
    assert not (tmp_path / "run" / "resume.pt").exists()


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@BOTH
def test_best_epoch_is_the_checkpoint(tune: str, drawn_shards: Path, tmp_path: Path) -> None:
    """The checkpoint is, bit for bit, that of a training that ended with the best epoch."""
    # a whole network diverges at the head's rate, or not: the last bits decide it
    settings = {**BEST, "learning_rate": 0.5 if tune == "head" else 0.05}
    done = fit(drawn_shards, tmp_path / "best", tune=tune, epochs=6, **settings)
    values = [result.val.mean_average_precision for result in done.epochs]
    assert done.kept == 1 + int(np.argmax(values))
    kept = [row["epoch"] for row in history(tmp_path / "best") if row["kept"] == "1"]
    assert int(kept[-1]) == done.kept
    assert done.val.mean_average_precision == max(values)
    ended = {**settings, "keep": "last", "epochs": done.kept}
    fit(drawn_shards, tmp_path / "ended", tune=tune, **ended)
    for name in ("model.safetensors", "model.json", "metrics.json"):
        found = [(tmp_path / run / name).read_bytes() for run in ("best", "ended")]
        assert found[0] == found[1], name


def test_thresholds_and_temperature_reach_the_checkpoint(
    drawn_shards: Path, tmp_path: Path
) -> None:
    """What was fitted is in the card, and the metrics are those with it."""
    done = fit(drawn_shards, tmp_path, epochs=4, learning_rate=0.5, thresholds="f1", calibrate=True)
    _, card = load_checkpoint(tmp_path)
    assert card.thresholds is not None
    assert len(set(card.thresholds)) > 1
    assert card.temperature != 1
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["decisions"]["temperature"] == card.temperature
    assert metrics["val"]["macro"]["f1"] == done.reports["val"].macro.f1
    plain = fit(drawn_shards, tmp_path / "plain", epochs=4, learning_rate=0.5)
    assert done.reports["val"].macro.f1 > plain.reports["val"].macro.f1
    assert done.val == plain.val, "the history has the plain threshold"


def test_bad_rule_costs_nothing(few_shards: Path, tmp_path: Path) -> None:
    """A rule of thresholds that does not exist is refused before anything is trained."""
    with pytest.raises(Exception, match="precision") as caught:
        fit(few_shards, tmp_path / "run", thresholds="recall=1")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
