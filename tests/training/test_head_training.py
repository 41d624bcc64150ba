"""Training of each kind of head, from features in memory and as a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from small_training import fit
from torch import nn

import vocscore as vs
import vocscore.training.map_memory
import vocscore.training.setup
from vocscore.config.groups import build
from vocscore.config.training import TrainConfig
from vocscore.errors import CheckpointError, OptionError, TrainError
from vocscore.evaluation.metrics import report
from vocscore.models.checkpoint import load_checkpoint
from vocscore.models.heads.csra import ResidualAttention
from vocscore.models.network import Network
from vocscore.training.features import Features
from vocscore.training.head_fits import LAMBDAS
from vocscore.training.map_memory import check_room_for_maps
from vocscore.training.train_head import TrainedHead, train_head

if TYPE_CHECKING:
    from pathlib import Path

FEW = {"epochs": 3, "batch_size": 4, "standardize": True}


def some_maps(images: int, *, seed: int = 0) -> Features:
    """Classes that show at one place of a map, over features that are off center."""
    generator = np.random.default_rng(seed)
    maps = generator.normal(size=(images, 6, 3, 3)) + np.arange(6)[:, None, None]
    labels = (generator.random((images, 3)) < 0.4).astype(np.int8)
    for image, label in zip(*np.nonzero(labels), strict=True):
        row, column = generator.integers(0, 3, 2)
        maps[image, label, row, column] += 4
    labels[generator.random(labels.shape) < 0.05] = -1
    return Features(torch.from_numpy(maps).half(), labels)


def pooled(features: Features) -> Features:
    return Features(features.values.float().mean((2, 3)), features.labels)


def trained(head: str, *, seed: int = 0, images: int = 40, **settings: Any) -> TrainedHead:
    config = build(TrainConfig, {"head": head, **FEW, **settings})
    splits = [some_maps(images, seed=seed), some_maps(20, seed=seed + 1)]
    if head != "csra":
        splits = [pooled(split) for split in splits]
    return train_head(
        *splits, model=config.model, choice=config.optimization, loss=config.loss, seed=seed
    )


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("head", ["linear", "csra", "gcn", "chain"])
def test_the_saved_head_computes_what_training_measured(head: str, standardize: bool) -> None:
    """From raw features: standardization, label graph and average are folded into it."""
    done = trained(head, standardize=standardize, ema=0.5)
    val = some_maps(20, seed=1)
    values = val.values.float() if head == "csra" else pooled(val).values
    with torch.inference_mode():
        np.testing.assert_allclose(done.head(values), done.val.logits, rtol=0, atol=1e-4)
    assert np.ptp(done.val.logits) > 0.01


def test_csra_with_lambda_0_is_trained_as_a_linear_head() -> None:
    """The same weights, but for rounding."""
    csra, linear = trained("csra", csra_lambda=0), trained("linear")
    np.testing.assert_allclose(csra.val.logits, linear.val.logits, rtol=0, atol=1e-4)


def test_lambda_is_the_best_on_the_validation_split() -> None:
    """As if each candidate had been trained alone; the smallest of equal ones."""
    alone = [trained("csra", csra_lambda=residual, epochs=4) for residual in LAMBDAS]
    chosen = trained("csra", epochs=4)
    found = [
        report(one.val.labels, one.val.probabilities(), threshold=0.5).mean_average_precision
        for one in alone
    ]
    best = alone[int(np.argmax(found))]
    assert len(set(found)) > 1
    assert isinstance(chosen.head, ResidualAttention)
    assert chosen.head.spec() == best.head.spec()
    assert (chosen.val.logits == best.val.logits).all()


def test_attention_finds_small_things() -> None:
    """A class that shows at one of nine places is ranked better than by the mean."""
    settings = {"epochs": 20, "optimizer": "adamw", "learning_rate": 0.01}
    linear, csra = (
        report(one.val.labels, one.val.probabilities(), threshold=0.5).mean_average_precision
        for one in (trained("linear", **settings), trained("csra", csra_lambda=1, **settings))
    )
    assert csra > linear + 0.05


def test_gcn_becomes_linear_and_the_graph_matters() -> None:
    config = build(TrainConfig, {"head": "gcn", **FEW})
    splits = [pooled(some_maps(40)), pooled(some_maps(20, seed=1))]
    splits[0].labels[:, 1] = splits[0].labels[:, 0]  # always together
    with_graph, control = (
        train_head(
            *splits, model=config.model, choice=config.optimization, loss=config.loss, graph=graph
        )
        for graph in (None, torch.eye(3))
    )
    assert type(with_graph.head) is nn.Linear
    assert np.abs(with_graph.val.logits - control.val.logits).max() > 1e-3


def test_chain_learns_that_classes_exclude_each_other() -> None:
    """The coupling of two classes that are never together becomes negative."""
    generator = np.random.default_rng(0)
    first = generator.random(200) < 0.5
    labels = np.stack([first, ~first, generator.random(200) < 0.5], 1).astype(np.int8)
    values = torch.from_numpy(2 * labels[:, :2] - 1 + 2 * generator.normal(size=(200, 2))).float()
    data = Features(values, labels)
    config = build(
        TrainConfig, {"head": "chain", "epochs": 60, "optimizer": "adamw", "learning_rate": 0.02}
    )
    done = train_head(data, data, model=config.model, choice=config.optimization, loss=config.loss)
    coupling = done.head.coupling.detach()
    assert not coupling.diagonal().any()
    assert coupling[0, 1] < -0.05
    assert coupling[1, 0] < -0.05


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


@pytest.mark.parametrize("head", ["csra", "chain", "gcn"])
def test_a_run_resumes_and_cross_validates(head: str, drawn_shards: Path, tmp_path: Path) -> None:
    """Stopped after its first epoch it ends with the same files; the card says what was saved."""

    class StopError(Exception):
        pass

    def stop(_result: Any) -> None:
        raise StopError

    settings = {"head": head, "backbone": "tiny", "folds": 2, "standardize": True, "ema": 0.5}
    told = fit(drawn_shards, tmp_path / "whole", **settings)
    with pytest.raises(StopError):
        fit(drawn_shards, tmp_path / "resumed", on_epoch=stop, **settings)
    fit(drawn_shards, tmp_path / "resumed", resume=True, **settings)
    whole, resumed = files(tmp_path / "whole"), files(tmp_path / "resumed")
    for name in ("model.json", "model.safetensors", "metrics.json", "history.csv"):
        assert whole[name] == resumed[name]
    assert whole["out_of_fold.csv"] == resumed["out_of_fold.csv"]
    network, card = load_checkpoint(tmp_path / "whole")
    if head == "gcn":
        assert type(network.head) is nn.Linear
        assert not card.head
        assert card.origin["head"].startswith("gcn")
    else:
        assert card.head["kind"] == head
        assert card.head == network.head.spec().to_json()
    if head == "csra":
        assert card.head["lambda"] in LAMBDAS
        assert told.residual == card.head["lambda"]
        assert vs.info(tmp_path / "whole").sections["model"]["head"] == card.head
        assert network.backbone(torch.zeros(1, 3, 64, 64)).shape == (1, 16, 2, 2)
    assert json.loads(whole["config.json"])["head"] == head


def test_another_head_needs_a_new_run(few_shards: Path, tmp_path: Path) -> None:
    def stop(_result: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(few_shards, tmp_path, head="chain", on_epoch=stop)
    with pytest.raises(TrainError, match="cannot be resumed: head was 'chain'"):
        fit(few_shards, tmp_path, head="csra", csra_lambda=0.1, resume=True)


@pytest.mark.parametrize("head", ["csra", "gcn", "chain"])
def test_heads_need_a_frozen_backbone(head: str) -> None:
    with pytest.raises(OptionError, match=f"`head='{head}'` needs `tune='head'`"):
        build(TrainConfig, {"head": head, "tune": "all"})


def test_settings_of_csra_need_it() -> None:
    for name, value in {"csra_lambda": 0.0, "csra_temperature": 2.0}.items():
        with pytest.raises(OptionError, match=f"`{name}` needs `head='csra'`"):
            build(TrainConfig, {"head": "chain", name: value})
    with pytest.raises(OptionError, match=r"`csra_lambda` is -0.1, but must be at least 0"):
        build(TrainConfig, {"head": "csra", "csra_lambda": -0.1})


def test_a_backbone_without_a_map_leaves_no_run(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flat(*_arguments: Any, **_settings: Any) -> Network:
        return Network(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 5)), nn.Linear(5, 20))

    monkeypatch.setattr(vocscore.training.setup, "build_network", flat)
    out = tmp_path / "run"
    with pytest.raises(CheckpointError, match="'tiny' has no map of places"):
        fit(few_shards, out, head="csra", backbone="tiny")
    assert not out.exists()


def test_maps_that_do_not_fit_leave_the_earlier_run(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """9 images, 16 features, 2 x 2 places, 2 bytes: 1,152, and twice that with folds."""
    fit(few_shards, tmp_path, backbone="tiny")
    before = files(tmp_path)
    settings = {"head": "csra", "backbone": "tiny", "csra_lambda": 0.3, "overwrite": True}
    monkeypatch.setattr(vocscore.training.map_memory, "available_memory", lambda: 1_151)
    with pytest.raises(TrainError, match=r"maps of 9 images .* takes 1\.2 KB, and 1\.2 KB are"):
        fit(few_shards, tmp_path, **settings)
    assert files(tmp_path) == before
    monkeypatch.setattr(vocscore.training.map_memory, "available_memory", lambda: 1_152)
    assert check_room_for_maps((16, 2, 2), 9, folds=False) == "1.2 KB of maps in memory"
    with pytest.raises(TrainError, match="with `folds`"):
        check_room_for_maps((16, 2, 2), 9, folds=True)
    monkeypatch.setattr(vocscore.training.map_memory, "available_memory", lambda: None)
    assert check_room_for_maps((512, 8, 8), 10**6, folds=False) == "65.5 GB of maps in memory"


def test_lambda_needs_positives_in_validation(few_shards: Path, tmp_path: Path) -> None:
    """Without them, it has to be given."""
    settings = {"head": "csra", "backbone": "tiny", "val_split": "none"}
    from vocscore.training import train as module

    load = module.load_splits

    def without_positives(shards: Path, data: Any) -> Any:
        from dataclasses import replace

        found = load(shards, replace(data, val_split="val"))
        return replace(found, val=replace(found.val, labels=0 * found.val.labels))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_splits", without_positives)
        with pytest.raises(TrainError, match=r"no positive label.*`csra_lambda`"):
            fit(few_shards, tmp_path, **settings)
        fit(few_shards, tmp_path, **settings, csra_lambda=0.2)
    assert load_checkpoint(tmp_path)[1].head["lambda"] == 0.2


def test_features_beyond_float16_are_one_clear_line(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_network = vocscore.training.setup.build_network

    def huge(*arguments: Any, **settings: Any) -> Any:
        made = build_network(*arguments, **settings)
        made.backbone.layers[4].bias.data.fill_(1e6)
        return made

    monkeypatch.setattr(vocscore.training.setup, "build_network", huge)
    with pytest.raises(TrainError, match="above 65504, the largest number of float16"):
        fit(few_shards, tmp_path, head="csra", backbone="tiny", csra_lambda=0.3)
