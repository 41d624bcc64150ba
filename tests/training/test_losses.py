"""The losses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from vocscore.config.training import LossConfig
from vocscore.errors import DivergedError
from vocscore.training.losses import (
    Losses,
    asymmetric_loss,
    masked_loss,
    open_loss,
    positive_weights,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.training.losses import Loss

CPU = torch.device("cpu")


def some(*, rows: int = 7, classes: int = 5) -> tuple[torch.Tensor, NDArray[np.int8]]:
    """Logits and labels of all three kinds."""
    generator = np.random.default_rng(0)
    labels = generator.integers(-1, 2, (rows, classes)).astype(np.int8)
    logits = torch.from_numpy(generator.normal(size=(rows, classes)) * 3).float()
    return logits.requires_grad_(), labels


def scalar_loss(
    logits: torch.Tensor,
    labels: NDArray[np.int8],
    *,
    weights: list[float],
    gammas: tuple[float, float] = (0, 0),
    margin: float = 0,
) -> float:
    """The papers' formulas, decision by decision, in plain Python."""
    total = 0.0
    for row, wanted in zip(logits.tolist(), labels.tolist(), strict=True):
        for logit, label, weight in zip(row, wanted, weights, strict=True):
            p = 1 / (1 + math.exp(-logit))
            if label == 1:
                total -= weight * (1 - p) ** gammas[0] * math.log(p)
            elif label == 0:
                shifted = max(p - margin, 0)
                total -= shifted ** gammas[1] * math.log(1 - shifted)
    return total


@pytest.mark.parametrize("gammas", [(0, 0), (0, 4), (1, 4), (2, 1), (0.5, 1.5)])
@pytest.mark.parametrize("margin", [0.0, 0.05, 0.4])
def test_asymmetric_loss_is_the_papers_formula(gammas: tuple[float, float], margin: float) -> None:
    """ASL equals the formula decision by decision."""
    logits, labels = some()
    weights = [1.0, 2.0, 3.0, 1.0, 5.0]
    total, count = asymmetric_loss(
        logits,
        torch.from_numpy(labels),
        weight=torch.tensor(weights),
        gammas=gammas,
        margin=margin,
    )
    expected = scalar_loss(logits, labels, weights=weights, gammas=gammas, margin=margin)
    assert float(total.detach()) == pytest.approx(expected, rel=1e-5)
    assert int(count) == (labels >= 0).sum()


def test_masked_loss_is_the_formula() -> None:
    """Binary cross-entropy equals the formula decision by decision, weighted or not."""
    logits, labels = some()
    for weights in (None, [1.0, 2.0, 3.0, 1.0, 5.0]):
        given = None if weights is None else torch.tensor(weights)
        total, count = masked_loss(logits, torch.from_numpy(labels), weight=given)
        expected = scalar_loss(logits, labels, weights=weights or [1.0] * 5)
        assert float(total.detach()) == pytest.approx(expected, rel=1e-5)
        assert int(count) == (labels >= 0).sum()


def test_asymmetric_loss_without_asymmetry_is_cross_entropy() -> None:
    """With gammas and margin 0, value and gradient are those of binary cross-entropy."""
    found = []
    for loss in (
        lambda z, y: asymmetric_loss(z, y, weight=torch.ones(5), gammas=(0, 0), margin=0)[0],
        lambda z, y: masked_loss(z, y)[0],
    ):
        logits, labels = some()
        total = loss(logits, torch.from_numpy(labels))
        total.backward()
        found.append((total.detach(), logits.grad))
    torch.testing.assert_close(found[0], found[1])


def every_loss(labels: NDArray[np.int8]) -> list[Loss]:
    kinds: list[dict[str, Any]] = [
        {},
        {"class_weight": 9.0},
        {"loss": "asl"},
        {"loss": "asl", "gamma_positive": 0.0, "gamma_negative": 0.5, "class_weight": 9.0},
    ]
    return [open_loss(LossConfig(**kind), labels, device=CPU) for kind in kinds]


def test_difficult_labels_have_no_gradient() -> None:
    """What is predicted for a difficult label changes neither the loss nor any gradient."""
    labels = np.array([[1, -1, 0], [-1, -1, 1]], dtype=np.int8)
    for loss in every_loss(labels):
        found = []
        for at_difficult in (9.0, -7.0):
            logits = torch.tensor([[0.3, 0, -1.0], [0, 0, 0.5]])
            logits[torch.from_numpy(labels < 0)] = at_difficult
            total, count = loss(logits.requires_grad_(), torch.from_numpy(labels))
            total.backward()
            gradient = logits.grad
            assert gradient is not None
            assert int(count) == 3
            assert torch.equal(gradient == 0, torch.from_numpy(labels < 0))
            found.append((total.detach(), gradient))
        torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_losses_stay_finite_at_the_ends() -> None:
    """Logits of +-1e4 give finite losses and gradients, whatever the label."""
    labels = np.array([[1, 1, 0, 0, -1, -1]], dtype=np.int8)
    for loss in every_loss(labels):
        logits = torch.tensor([[1e4, -1e4, 1e4, -1e4, 1e4, -1e4]], requires_grad=True)
        total, _ = loss(logits, torch.from_numpy(labels))
        total.backward()
        assert logits.grad is not None
        assert bool(total.isfinite())
        assert bool(logits.grad.isfinite().all())


def test_cross_entropy_gradient_is_probability_minus_label() -> None:
    """The derivative that calculus gives."""
    logits, labels = some()
    masked_loss(logits, torch.from_numpy(labels))[0].backward()
    expected = (logits.detach().sigmoid() - torch.from_numpy(labels)) * torch.from_numpy(
        labels >= 0
    )
    torch.testing.assert_close(logits.grad, expected)


def test_weights_of_classes() -> None:
    """Negatives a positive, without the difficult, from 1 to the limit; 1 without positives."""
    columns = [[1, 0, 0, 0, -1], [1, 1, 1, 0, 0], [0, 0, 0, 0, -1], [-1] * 5, [1, 0, 0, 0, 0]]
    labels = np.array(columns, dtype=np.int8).T
    assert positive_weights(labels, limit=100).tolist() == [3, 1, 1, 1, 4]
    assert positive_weights(labels, limit=3.5).tolist() == [3, 1, 1, 1, 3.5]
    assert positive_weights(labels, limit=1).tolist() == [1] * 5


def test_weight_limit_of_1_is_the_plain_loss() -> None:
    """The default weighs nothing, bit for bit."""
    logits, labels = some()
    loss = open_loss(LossConfig(), labels, device=CPU)
    plain = functional.binary_cross_entropy_with_logits(
        logits,
        torch.from_numpy(labels).clamp(min=0).float(),
        weight=torch.from_numpy(labels) >= 0,
        reduction="sum",
    )
    assert torch.equal(loss(logits, torch.from_numpy(labels))[0], plain)


def test_mean_over_batches_is_the_mean_over_all() -> None:
    """Batches of unequal size, and of difficult labels only, add up to the mean of the whole."""
    logits, labels = some(rows=9)
    labels[3:5] = -1
    whole, parts = Losses(), Losses()
    whole.add(*masked_loss(logits, torch.from_numpy(labels)))
    for at in (slice(0, 3), slice(3, 5), slice(5, 9)):
        parts.add(*masked_loss(logits[at], torch.from_numpy(labels[at])))
    assert parts.mean(epoch=1) == pytest.approx(whole.mean(epoch=1), rel=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_loss_that_is_not_a_number_is_named(value: float) -> None:
    """Epoch and step, both counted from 1."""
    losses = Losses()
    for total in (1.0, 2.0, value, 3.0):
        losses.add(torch.tensor(total), torch.tensor(1))
    with pytest.raises(DivergedError, match=r"epoch 4, step 3: the loss is (nan|inf)\. Use"):
        losses.mean(epoch=4)
