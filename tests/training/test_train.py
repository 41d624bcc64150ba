"""Training: shards to a run."""

from __future__ import annotations

import csv
import json
import math
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_training import FAST, fit, pack_set

import vocscore.training.setup
from shards.classes import choose_classes
from shards.reader import load_split
from shards.sources.voc.read import read_voc
from shards.splitting.splits import split_by_ratio
from vocscore.config.compute import MAX_PIXELS
from vocscore.config.training import TrainConfig
from vocscore.evaluation.metrics import report
from vocscore.models.checkpoint import load_checkpoint
from vocscore.models.network import build_network
from vocscore.pipeline.loaders import open_loader
from vocscore.records.run_settings import recorded_settings
from vocscore.runtime.load import open_runtime
from vocscore.runtime.precision import Fidelity
from vocscore.training.finetune import regroup
from vocscore.training.trainer import epoch_order, row_batches

if TYPE_CHECKING:
    from pathlib import Path

CHARTS = ["curves.png", "missed_together.png", "per_class_ap.png", "reliability.png"]
VALUES = [
    "config.json",
    "history.csv",
    "images.csv",
    "metrics.json",
    "model.json",
    "model.safetensors",
]
FILES = sorted(CHARTS + VALUES)


def starting_network(*, seed: int = 0, **changes: Any) -> dict[str, torch.Tensor]:
    """The network that a training with this seed starts from."""
    settings = {**FAST, **changes}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(
            settings["backbone"], classes=20, weights=settings["weights"], size=settings["size"]
        )
    return network.state_dict()


@pytest.mark.parametrize(
    ("tune", "backbone", "loader"),
    [
        pytest.param("head", "alexnet", "host", marks=pytest.mark.slow),
        ("head", "resnet18", "dali"),
        pytest.param("head", "googlenet", "host", marks=pytest.mark.slow),
        ("head", "squeezenet1_1", "dali"),
        pytest.param("all", "alexnet", "dali", marks=pytest.mark.slow),
        ("all", "resnet18", "dali"),
        pytest.param("all", "googlenet", "host", marks=pytest.mark.slow),
        ("all", "squeezenet1_1", "host"),
    ],
)
def test_each_backbone_trains_and_scores(
    tune: str, backbone: str, loader: str, few_shards: Path, tmp_path: Path
) -> None:
    """The checkpoint, run by the runtime on the validation images, has the reported figures."""
    # Behind frozen random layers, whose features are small, a large step for the head to matter.
    rate = 0.5 if tune == "head" else 0.01
    changes = {"backbone": backbone, "loader": loader, "tune": tune, "learning_rate": rate}
    done = fit(few_shards, tmp_path, epochs=1, batch_size=3, **changes)
    network, card = load_checkpoint(tmp_path)
    runtime = open_runtime(network, card, device="cpu")
    val = load_split(few_shards, "val")
    found = np.empty((len(val.images), 20), dtype=np.float32)
    with closing(
        open_loader(
            loader,
            card.preprocess,
            batch_size=3,
            device="cpu",
            threads=1,
            max_pixels=MAX_PIXELS,
        )
    ) as opened:
        for batch in opened.batches(val.images):
            found[batch.rows] = runtime.probabilities(batch.images)
    assert np.isfinite(found).all()
    assert found.std() > 1e-4, "a head that has learnt nothing shows nothing"
    loss = brute_force_loss(val.labels, found)
    assert done.val.loss == pytest.approx(loss, rel=1e-3)
    again = report(val.labels, found, threshold=card.threshold)
    assert done.val.iou == pytest.approx(again.samples.iou, abs=1e-6)


@pytest.mark.parametrize("faithful", [True, False])
def test_what_is_kept_of_a_backbone_in_bf16_is_what_score_computes(
    faithful: bool, few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where bf16 is not faithful, figures and thresholds are those of float32."""
    verdict = Fidelity(4, 0.0 if faithful else 0.5, 0.0)
    monkeypatch.setattr("vocscore.training.run.measure_faithfulness", lambda *_, **__: verdict)
    changes = {"backbone": "tiny", "learning_rate": 0.5, "thresholds": "f1", "batch_size": 3}
    done = fit(few_shards, tmp_path, precision="bf16", **changes)
    network, card = load_checkpoint(tmp_path)
    precision = "bf16" if faithful else "float32"
    assert card.precision == precision
    runtime = open_runtime(network, card, device="cpu", precision=precision)
    val = load_split(few_shards, "val")
    loader = open_loader(
        "host", card.preprocess, batch_size=32, device="cpu", threads=1, max_pixels=10**8
    )
    with closing(loader):
        (batch,) = loader.batches(val.images)
    found = runtime.probabilities(batch.images)
    metrics = json.loads((tmp_path / "metrics.json").read_text())["val"]
    exactly = 2e-3 if faithful else 1e-5
    assert metrics["loss"] == pytest.approx(brute_force_loss(val.labels, found), abs=exactly)
    if not faithful:
        again = report(val.labels, found, threshold=card.decision_threshold)
        assert metrics["samples"]["f1"] == again.samples.f1
        rounded = open_runtime(network, card, device="cpu", precision="bf16")
        if not np.array_equal(rounded.probabilities(batch.images), found):  # else no bf16 here
            assert metrics["loss"] != done.val.loss, "the history is that of the epochs"


def brute_force_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean binary cross-entropy, decision by decision."""
    losses = []
    for row, scores in zip(labels, probabilities.astype(np.float64), strict=True):
        for label, score in zip(row, scores, strict=True):
            if label >= 0:
                losses.append(-math.log(score if label == 1 else 1 - score))
    return sum(losses) / len(losses)


@pytest.mark.usefixtures("real_charts")
def test_a_run_is_complete(drawn_shards: Path, tmp_path: Path) -> None:
    """A run holds the checkpoint, history, metrics, curves and the resolved settings."""
    done = fit(drawn_shards, tmp_path, epochs=3, threshold=0.3)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for row, result in zip(rows, done.epochs, strict=True):
        for split in ("train", "val"):
            for name in ("loss", "iou", "precision", "recall", "f1", "mean_average_precision"):
                assert float(row[f"{split}_{name}"]) == getattr(getattr(result, split), name)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["epoch"] == 3
    assert metrics["val"]["loss"] == done.val.loss
    assert metrics["val"]["samples"]["f1"] == done.val.f1
    assert metrics["train"]["mean_average_precision"] == done.train.mean_average_precision
    assert len(metrics["val"]["classes"]) == 20
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["device"] == "cpu"
    assert set(recorded_settings(TrainConfig())) <= set(config)
    with Image.open(tmp_path / "curves.png") as image:
        image.load()
    _, card = load_checkpoint(tmp_path)
    assert card.threshold == 0.3
    assert card.preprocess.size == 64
    assert len(card.classes) == 20


def test_head_learns(drawn_shards: Path, tmp_path: Path) -> None:
    """On features of a random backbone, epochs of the head lower the training loss."""
    done = fit(drawn_shards, tmp_path, epochs=8)
    losses = [result.train.loss for result in done.epochs]
    assert losses[0] < math.log(2), "a head at zero, where it starts, has log 2"
    assert losses[-1] < losses[0]


def test_whole_network_learns(drawn_shards: Path, tmp_path: Path) -> None:
    """With tune='all' the training loss falls too."""
    done = fit(
        drawn_shards,
        tmp_path,
        backbone="tiny",
        tune="all",
        epochs=4,
        batch_size=4,
        learning_rate=0.1,
    )
    losses = [result.train.loss for result in done.epochs]
    assert losses[-1] < 0.8 * losses[0]


def test_frozen_backbone_stays_bit_equal(few_shards: Path, tmp_path: Path) -> None:
    """tune='head' changes the head and not one bit of the backbone, batch statistics included."""
    fit(few_shards, tmp_path, seed=7)
    before = starting_network(seed=7)
    after = load_checkpoint(tmp_path)[0].state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}


def test_tune_all_changes_every_layer(few_shards: Path, tmp_path: Path) -> None:
    """tune='all' changes every parameter and the batch statistics."""
    fit(few_shards, tmp_path, tune="all", seed=7)
    before = starting_network(seed=7)
    after = load_checkpoint(tmp_path)[0].state_dict()
    assert not [name for name in before if torch.equal(before[name], after[name])]


@pytest.mark.parametrize("tune", ["head", "all"])
def test_same_seed_same_weights(tune: str, few_shards: Path, tmp_path: Path) -> None:
    """Equal arguments give equal checkpoints on the CPU; another seed gives another."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit(few_shards, tmp_path / name, tune=tune, seed=seed, batch_size=2)
        torch.rand(3)  # whatever else the process draws
    first, same, other = ((tmp_path / n / "model.safetensors").read_bytes() for n in "abc")
    assert first == same
    assert first != other


def test_callers_generator_is_left_alone(few_shards: Path, tmp_path: Path) -> None:
    """Training seeds itself, and torch's own generator goes on as if nothing had been."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(few_shards, tmp_path, tune="all", epochs=1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("tune", "backbone"),
    [("head", "tiny_dropout"), ("all", "tiny")],
)
def test_training_equals_the_plain_loop(
    tune: str, backbone: str, drawn_shards: Path, tmp_path: Path
) -> None:
    """Kept features or whole network: the weights are those of the textbook's loop.

    Dropout and batch statistics must be inert before a head.
    """
    changes = {"tune": tune, "backbone": backbone, "batch_size": 8, "learning_rate": 0.1}
    done = fit(drawn_shards, tmp_path, **changes)
    found, card = load_checkpoint(tmp_path)
    split = load_split(drawn_shards, "train")
    network = build_network(backbone, classes=20, weights="none", size=64)
    network.load_state_dict(starting_network(backbone=backbone))
    network.train(tune == "all")
    if tune == "head":
        torch.nn.init.zeros_(network.head.weight)
        torch.nn.init.zeros_(network.head.bias)
    learnt = network if tune == "all" else network.head
    optimizer = torch.optim.SGD(learnt.parameters(), lr=0.1, momentum=0.9)
    during = np.empty(split.labels.shape, dtype=np.float32)
    with closing(
        open_loader(
            "host", card.preprocess, batch_size=8, device="cpu", threads=1, max_pixels=10**8
        )
    ) as loader:
        for epoch in range(1, FAST["epochs"] + 1):
            order = epoch_order(len(split.images), seed=0, epoch=epoch)
            sizes = [len(rows) for rows in row_batches(order, batch_size=8)]
            batches = loader.batches(split.images, order=order.tolist())
            for batch in regroup(batches, sizes, side=64):
                logits = network(card.preprocess.normalize(batch.images))
                during[batch.rows] = logits.detach().sigmoid().numpy()
                labels = torch.from_numpy(split.labels[batch.rows]).float()
                each = torch.nn.functional.binary_cross_entropy_with_logits(
                    logits, labels.clamp(min=0), reduction="none"
                )
                optimizer.zero_grad()
                each[labels >= 0].mean().backward()
                optimizer.step()
    assert (split.labels < 0).any(), "without difficult labels, leaving them out shows nothing"
    assert float(found.head.weight.detach().abs().max()) > 1e-3
    torch.testing.assert_close(
        dict(found.state_dict()), dict(network.state_dict()), rtol=1e-2, atol=1e-4
    )
    if tune == "all":  # measured in the steps of the last epoch, each before it changes the weights
        np.testing.assert_allclose(
            done.reports["train"].average_precision,
            report(split.labels, during, threshold=0.5).average_precision,
            atol=0.02,
        )


@pytest.mark.parametrize(("tune", "passes"), [("head", 1), ("all", 3)])
def test_images_are_decoded(
    tune: str,
    passes: int,
    few_shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three epochs decode each image of both splits once for a head, else once an epoch."""
    decoded: list[str] = []

    class Counting:
        def __init__(self, loader: Any) -> None:
            self._loader = loader

        def batches(self, images: Any, **options: Any) -> Any:
            for batch in self._loader.batches(images, **options):
                decoded.extend(images[row].name for row in batch.rows)
                yield batch

        def close(self) -> None:
            self._loader.close()

    def counting(*arguments: Any, **options: Any) -> Counting:
        return Counting(open_loader(*arguments, **options))

    monkeypatch.setattr(vocscore.training.setup, "open_loader", counting)
    steps: list[tuple[int, int]] = []
    told: list[str] = []
    fit(
        few_shards,
        tmp_path,
        tune=tune,
        epochs=3,
        on_step=lambda *step: steps.append(step),
        on_stage=told.append,
    )
    work = {"head": ["computing features", "training the head"], "all": ["training"]}[tune]
    assert told == [
        "reading labels",
        "loading PyTorch",
        "building the network",
        "preparing the network",
        *work,
        "checking bf16",
        "drawing charts",
    ]
    names = [p.name for split in ("train", "val") for p in load_split(few_shards, split).images]
    assert sorted(decoded) == sorted(names * passes)
    assert steps[-1] == (9 * passes, 9 * passes)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_callers_hear_of_each_epoch_and_nothing_is_printed(
    few_shards: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """on_epoch gets the result of each epoch, in order; train itself prints nothing."""
    heard: list[Any] = []
    done = fit(few_shards, tmp_path, epochs=3, on_epoch=heard.append)
    assert tuple(heard) == done.epochs
    assert [result.epoch for result in heard] == [1, 2, 3]
    shown = capfd.readouterr()
    assert not shown.out
    assert not shown.err


def test_last_batch_of_one_with_batch_normalization(few_shards: Path, tmp_path: Path) -> None:
    """5 images in batches of 4 train a network that normalizes 1x1 maps over the batch."""
    done = fit(few_shards, tmp_path, tune="all", size=32, batch_size=4)
    assert math.isfinite(done.train.loss)


def test_several_splits_are_joined(few_shards: Path, tmp_path: Path) -> None:
    """'train,one' trains on the images of both."""
    totals: list[int] = []
    fit(
        few_shards, tmp_path, train_split="train,one", on_step=lambda _, total: totals.append(total)
    )
    assert set(totals) == {5 + 1 + 4}


@pytest.mark.slow
def test_real_images(voc_data: Path, tmp_path: Path) -> None:
    """70 of 100 VOC photographs and ImageNet weights give a validation mAP far above chance."""
    weights = voc_data / "weights" / "squeezenet1_0-imagenet.pth"
    if not weights.is_file():
        pytest.skip(f"no pretrained weights at {weights}")
    annotated = read_voc(voc_data / "voc2012-100")
    classes = choose_classes(annotated.names(), None, known=annotated.vocabulary)
    splits = split_by_ratio(annotated, classes=classes, train_fraction=0.7, seed=0)
    shards = pack_set(annotated, splits, tmp_path / "set")
    config = {"backbone": "squeezenet1_0", "weights": str(weights), "size": 256, "epochs": 10}
    done = fit(shards, tmp_path / "run", **config)
    assert done.val.chance < 0.1
    assert done.val.mean_average_precision >= 0.45


@pytest.mark.gpu
@pytest.mark.parametrize("tune", ["head", "all"])
@pytest.mark.parametrize("backbone", ["alexnet", "resnet18", "googlenet"])
def test_training_on_a_gpu(backbone: str, tune: str, drawn_shards: Path, tmp_path: Path) -> None:
    """On CUDA, with DALI's mixed decoding, the loss falls and the checkpoint loads on the CPU."""
    done = fit(
        drawn_shards, tmp_path, backbone=backbone, tune=tune, epochs=4, loader="dali", device="cuda"
    )
    assert done.epochs[-1].train.loss < done.epochs[0].train.loss
    assert load_checkpoint(tmp_path)[0].head.weight.device.type == "cpu"
