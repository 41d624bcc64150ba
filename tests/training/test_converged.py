"""A head solved to convergence, beside scikit-learn's logistic regression."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from small_training import fit

from shards.splitting.folds import assign_folds
from vocscore.config.groups import build
from vocscore.config.training import TrainConfig
from vocscore.errors import DivergedError, OptionError, TrainError
from vocscore.training.converged import (
    FOLDS,
    STRENGTHS,
    ConvergedTrainer,
    cross_validate,
    make_problem,
)
from vocscore.training.features import Features
from vocscore.training.losses import positive_weights
from vocscore.training.train_head import open_head_fit

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def some_features(images: int, length: int, *, seed: int = 0) -> Features:
    """Three classes of different frequency, with noise; some labels are 'difficult'."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(images, length)) * 3 + generator.normal(size=length) * 9
    center = values - values.mean(0)
    truth = center[:, :3] + 2 * generator.normal(size=(images, 3)) > (0, 2, 3)
    labels = truth.astype(np.int8)
    labels[generator.random(labels.shape) < 0.1] = -1
    return Features(torch.from_numpy(values).float(), labels)


def solved(train: Features, val: Features, **options: Any) -> ConvergedTrainer:
    head = torch.nn.Linear(train.values.shape[1], train.labels.shape[1])
    config = build(TrainConfig, {"solver": "lbfgs", **options})
    found = open_head_fit(head, train, val, config=config, keys=())
    assert isinstance(found, ConvergedTrainer)
    return found


def standardized(train: Features, other: Features) -> NDArray[np.float64]:
    """As docs/training.md says: centered per feature, one scale for all."""
    values = train.values.double().numpy()
    center = values - values.mean(0)
    return (other.values.double().numpy() - values.mean(0)) / np.sqrt((center**2).mean())


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


@pytest.mark.parametrize(("images", "length"), [(60, 12), (40, 90)])
@pytest.mark.parametrize("limit", [1.0, 4.0])
@pytest.mark.parametrize("l2", [0.1, 3.0, 300.0])
def test_equals_scikit_learn(images: int, length: int, limit: float, l2: float) -> None:
    """With C = 1 / l2, sample weights and without difficult labels, more features than images too.

    So do the kept weights, which are for raw features.
    """
    train, val = some_features(images, length), some_features(30, length, seed=1)
    trainer = solved(train, val, l2=l2, class_weight=limit)
    _, outcome = trainer.epoch(1)
    kept = trainer.weights()
    raw = val.values @ kept["head.weight"].T + kept["head.bias"]
    weight = positive_weights(train.labels, limit=limit).numpy()
    for c in range(3):
        counts = train.labels[:, c] >= 0
        positive = train.labels[counts, c] == 1
        twin = LogisticRegression(C=1 / l2, tol=1e-10, solver="newton-cholesky")
        twin.fit(
            standardized(train, train)[counts],
            positive,
            sample_weight=np.where(positive, weight[c], 1.0),
        )
        expected = twin.predict_proba(standardized(train, val))[:, 1]
        for found in (outcome.logits[:, c], raw[:, c].numpy()):
            np.testing.assert_allclose(probabilities(found), expected, atol=1e-4)


def test_choice_is_that_of_a_brute_force_search() -> None:
    """The smallest held-out loss after one scale and shift, with scikit-learn for every head.

    Copies share a fold, as in `assign_folds`.
    """
    train = some_features(60, 20, seed=3)
    labels, values = np.abs(train.labels), standardized(train, train)  # without 'difficult'
    keys = [str(row // 2) for row in range(60)]
    problem = make_problem(torch.from_numpy(values), torch.from_numpy(labels), limit=1.0)
    found = cross_validate(problem, keys=keys, seed=5)
    fold = assign_folds(labels == 1, FOLDS, keys=keys, seed=5)
    results = []
    for l2 in STRENGTHS:
        held = np.empty(labels.shape)
        for number in range(FOLDS):
            out = fold == number
            for c in range(3):
                twin = LogisticRegression(C=1 / l2, tol=1e-10, solver="newton-cholesky")
                twin.fit(values[~out], labels[~out, c])
                held[out, c] = twin.decision_function(values[out])
        pooled = LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky")
        pooled.fit(held.reshape(-1, 1), labels.ravel())
        loss = log_loss(labels.ravel(), pooled.predict_proba(held.reshape(-1, 1))[:, 1])
        results.append((loss, l2, pooled.coef_.item(), pooled.intercept_.item()))
    _, *expected = min(results)
    np.testing.assert_allclose([found.l2, found.scale, found.shift], expected, rtol=0.01)


def test_classes_without_two_kinds_of_labels() -> None:
    """All absent, all present or nothing that counts: no weights, and finite log odds as bias."""
    train = some_features(20, 4)
    train.labels[:] = [0, 1, -1]
    trainer = solved(train, train)
    trainer.epoch(1)
    kept = trainer.weights()
    assert not kept["head.weight"].any()
    expected = np.log([0.5 / 20.5, 20.5 / 0.5, 1.0])
    np.testing.assert_allclose(kept["head.bias"].numpy(), expected, rtol=1e-6)


def test_one_image() -> None:
    """Nothing is left to choose the penalty on, and the line does not claim that it was given."""
    trainer = solved(some_features(1, 4), some_features(5, 4, seed=1))
    trainer.epoch(1)
    assert "the default for a single image" in str(trainer.found)


def test_same_bytes_for_any_number_of_threads() -> None:
    """One core or four: equal weights, bit by bit."""
    train, found = some_features(50, 300), []
    before = torch.get_num_threads()
    for threads in (1, 4):
        torch.set_num_threads(threads)
        trainer = solved(train, train)
        trainer.epoch(1)
        found.append(trainer.weights()["head.weight"])
    torch.set_num_threads(before)
    assert torch.equal(*found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "lbfgs", "tune": "all"}, "`solver='lbfgs'` needs `tune='head'`"),
        ({"solver": "lbfgs", "loss": "asl"}, "`solver='lbfgs'` needs `loss='bce'`"),
        ({"solver": "lbfgs", "head": "gcn"}, "`solver='lbfgs'` needs `head='linear'`"),
        ({"l2": 3.0}, "`l2` needs `solver='lbfgs'`"),
        ({"solver": "auto", "l2": 3.0, "loss": "asl"}, "`l2` needs `solver='lbfgs'`"),
        ({"solver": "lbfgs", "l2": 0.0}, "`l2` is 0.0"),
    ],
)
def test_options_that_contradict(options: dict[str, Any], message: str) -> None:
    """One line that names both."""
    with pytest.raises(OptionError, match=message) as caught:
        build(TrainConfig, options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "converges"),
    [({}, True), ({"loss": "asl"}, False), ({"tune": "all"}, False), ({"head": "csra"}, False)],
)
def test_auto_converges_where_it_can(options: dict[str, Any], converges: bool) -> None:
    """With auto, the convex problem is solved, and others are trained in steps."""
    config = build(TrainConfig, {"solver": "auto", "epochs": 7, **options})
    assert (config.converges, config.passes) == (converges, 1 if converges else 7)


def test_features_that_are_not_finite() -> None:
    """An infinite feature ends with one line, not with a head of NaN."""
    train = some_features(20, 4)
    train.values[3, 2] = torch.inf
    with pytest.raises(DivergedError, match="NaN or infinite"):
        solved(train, train)


def test_a_run(few_shards: Path, tmp_path: Path) -> None:
    """One epoch, its facts in metrics.json, a line for options without effect; resume and folds."""
    done = fit(few_shards, tmp_path / "a", solver="lbfgs", epochs=9, batch_size=2, folds=2)
    assert [result.epoch for result in done.epochs] == [1]
    assert "--epochs, --batch-size have no effect" in done.problems[-1]
    facts = json.loads((tmp_path / "a" / "metrics.json").read_text())["solved"]
    assert facts["l2"] in STRENGTHS
    assert facts["gradient"] <= 1e-8
    again = fit(few_shards, tmp_path / "b", solver="lbfgs", folds=2)
    names = ["model.safetensors", "out_of_fold.csv", "history.csv"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert again.solved == done.solved


def test_resumed_after_its_epoch(few_shards: Path, tmp_path: Path) -> None:
    """Stopped after the only epoch, the run is finished with the same bytes and facts."""

    def stop(_result: object) -> None:
        raise KeyboardInterrupt

    settings = {"solver": "lbfgs", "thresholds": "f1", "calibrate": True}
    whole = fit(few_shards, tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        fit(few_shards, tmp_path / "part", on_epoch=stop, **settings)
    resumed = fit(few_shards, tmp_path / "part", resume=True, **settings)
    assert resumed.solved == whole.solved
    for name in ("model.safetensors", "model.json", "metrics.json"):
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_another_solver_is_no_resume(few_shards: Path, tmp_path: Path) -> None:
    """An interrupted run is continued by its own solver only; the default is not recorded."""

    def stop(_result: object) -> None:
        raise KeyboardInterrupt

    for name, other in (("sgd", "lbfgs"), ("lbfgs", "sgd")):
        out = tmp_path / name
        with pytest.raises(KeyboardInterrupt):
            fit(few_shards, out, on_epoch=stop, solver=name)
        assert ("solver" in json.loads((out / "config.json").read_text())) == (name != "sgd")
        with pytest.raises(TrainError, match=f"solver was '{name}' and is '{other}'"):
            fit(few_shards, out, resume=True, solver=other)
        assert fit(few_shards, out, resume=True, solver=name).epochs
