"""A head on features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from vocscore.config.optimization import OptimizationConfig
from vocscore.config.training import LossConfig
from vocscore.training.feature_scaling import measure_standard, no_standard
from vocscore.training.features import Features
from vocscore.training.linear_probe import HeadTrainer
from vocscore.training.losses import open_loss


def some_features(images: int, *, seed: int = 0, difficult: float = 0.1) -> Features:
    """Two classes that a linear head can tell apart but for noise; off center."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(images, 6)) * 2 + np.arange(6)
    truth = values[:, :2] - values[:, 2:4] + generator.normal(size=(images, 2)) > 0
    labels = truth.astype(np.int8)
    labels[generator.random(labels.shape) < difficult] = -1
    return Features(torch.from_numpy(values).float(), labels)


def head_fit(head: torch.nn.Linear, train: Features, **changes: Any) -> HeadTrainer:
    loss = open_loss(LossConfig(), train.labels, device=torch.device("cpu"))
    choice = OptimizationConfig(**changes)
    return HeadTrainer(head, train=train, val=train, choice=choice, loss=loss, seed=0)


def linear(inputs: int, outputs: int) -> torch.nn.Linear:
    head = torch.nn.Linear(inputs, outputs)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    return head


def test_batch_of_difficult_labels_only() -> None:
    """A batch in which nothing counts leaves the head as it was, and is no division by zero."""
    head = torch.nn.Linear(4, 3)
    before = head.weight.detach().clone()
    features = Features(torch.randn(6, 4), np.full((6, 3), -1, dtype=np.int8))
    outcome, _ = head_fit(head, features, batch_size=3).epoch(1)
    assert outcome.loss == 0.0
    assert torch.equal(head.weight, before)


@pytest.mark.parametrize(
    ("optimizer", "standardize"), [("sgd", True), ("adamw", True), ("adamw", False)]
)
def test_head_finds_the_optimum(optimizer: str, standardize: bool) -> None:
    """Trained to the end, it has scikit-learn's logistic regression of the labels that count."""
    train = some_features(400)
    fit = head_fit(
        linear(6, 2),
        train,
        optimizer=optimizer,
        standardize=standardize,
        learning_rate={"sgd": 5.0, "adamw": 0.2}[optimizer] if standardize else 0.05,
        batch_size=400,
        epochs=600,
        schedule="cosine",
    )
    for number in range(1, 601):
        outcome, _ = fit.epoch(number)
    for c in range(2):
        counts = train.labels[:, c] >= 0
        twin = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
        twin.fit(train.values.numpy()[counts], train.labels[counts, c])
        expected = twin.decision_function(train.values.numpy())
        np.testing.assert_allclose(outcome.logits[:, c], expected, atol=0.1, rtol=0.05)


@pytest.mark.parametrize("ema", [0.0, 0.8])
@pytest.mark.parametrize("standardize", [False, True])
def test_kept_weights_give_the_outcome(ema: float, standardize: bool) -> None:
    """The weights that are kept, on plain features, give the logits that were measured."""
    train = some_features(50)
    fit = head_fit(linear(6, 2), train, ema=ema, standardize=standardize, epochs=3)
    for number in (1, 2, 3):
        outcome, _ = fit.epoch(number)
    kept = fit.weights()
    again = train.values @ kept["head.weight"].T + kept["head.bias"]
    np.testing.assert_allclose(outcome.logits, again.numpy(), atol=1e-4)
    assert float(again.std()) > 0.01


def test_kept_weights_are_a_copy() -> None:
    """Another epoch does not change what was kept."""
    fit = head_fit(linear(6, 2), some_features(50))
    fit.epoch(1)
    kept = fit.weights()
    before = kept["head.weight"].clone()
    fit.epoch(2)
    assert torch.equal(kept["head.weight"], before)
    assert not torch.equal(fit.weights()["head.weight"], before)


def test_standard_features() -> None:
    """Each feature has mean 0, all together have mean square 1, and their proportions stay."""
    values = some_features(300).values * torch.arange(1.0, 7)
    standard = measure_standard(values).of(values)
    torch.testing.assert_close(standard.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    assert float(standard.square().mean()) == pytest.approx(1, rel=1e-5)
    spread = values.std(0) / (values - values.mean(0)).std()
    torch.testing.assert_close(standard.std(0) / standard.std(), spread)


def test_standard_head_starts_at_the_frequencies() -> None:
    """Before any step, each class has the probability of its share of the labels that count."""
    train = some_features(200)
    train.labels[:, 1] = -1
    train.labels[:5, 1] = [1, 0, 0, 0, 0]
    head = linear(6, 2)
    head_fit(head, train, standardize=True)
    counted = [train.labels[train.labels[:, c] >= 0, c] for c in range(2)]
    shares = [(labels.sum() + 0.5) / (len(labels) + 1) for labels in counted]
    np.testing.assert_allclose(head.bias.detach().sigmoid().numpy(), shares, rtol=1e-5)


def test_features_that_do_not_vary() -> None:
    """One image, or many that look alike, are no division by zero."""
    values = torch.full((4, 3), 7.0)
    assert torch.equal(measure_standard(values).of(values), torch.zeros(4, 3))


def test_plain_features_stay_bit_equal() -> None:
    """Without standardizing, neither features nor head change in any bit."""
    values, head = torch.randn(9, 4), torch.nn.Linear(4, 3)
    standard = no_standard(values)
    assert torch.equal(standard.of(values), values)
    folded = standard.fold(head)
    assert torch.equal(folded["weight"], head.weight)
    assert torch.equal(folded["bias"], head.bias)


def test_threads_are_given_back() -> None:
    """An epoch computes with one thread, and leaves torch's setting as it was."""
    before = torch.get_num_threads()
    head_fit(linear(6, 2), some_features(30)).epoch(1)
    assert torch.get_num_threads() == before
