"""Trains one head on features in memory, without a run: for folds and comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vocscore.models.heads.attach import empty_head
from vocscore.training.head_fits import head_spec
from vocscore.training.linear_probe import HeadTrainer, start_at_zero
from vocscore.training.losses import open_loss

if TYPE_CHECKING:
    from vocscore.config.training import LossConfig, ModelConfig, OptimizationConfig
    from vocscore.models.heads.attach import Head
    from vocscore.training.features import Features
    from vocscore.training.trainer import SplitOutcome


@dataclass(frozen=True, slots=True, eq=False)
class TrainedHead:
    """A head after its last epoch.

    Attributes:
        head: for raw features, or maps.
        train: outcome on the training split.
        val: outcome on the validation split.
    """

    head: Head
    train: SplitOutcome
    val: SplitOutcome


def train_head(
    train: Features,
    val: Features,
    *,
    model: ModelConfig,
    choice: OptimizationConfig,
    loss: LossConfig,
    seed: int = 0,
    epochs: int | None = None,
    graph: torch.Tensor | None = None,
) -> TrainedHead:
    """Train a head as `vocscore train` does.

    Args:
        train: features (N, F) to learn from; for `--head csra` maps (N, F, h, w), in float16 or
            float32.
        val: the same of the validation split, on which CSRA's lambda is chosen if it is not given.
        model: `head` and its settings.
        choice: the optimization settings.
        loss: the training loss.
        seed: of the order of rows; not below 0.
        epochs: fewer than `choice.epochs`, whose schedule applies; None: all.
        graph: of 'gcn' instead of the labels' own, float32 (C, C); the identity is the control.

    Raises:
        DivergedError: the loss is NaN or infinite.
    """
    classes, features = train.labels.shape[1], train.values.shape[1]
    head = empty_head(head_spec(model), features=features, classes=classes)
    start_at_zero(head)
    opened = open_loss(loss, train.labels, device=torch.device("cpu"))
    fit = HeadTrainer(
        head,
        train=train,
        val=val,
        choice=choice,
        loss=opened,
        seed=seed,
        model=model,
        graph=graph,
    )
    for number in range(1, (epochs or choice.epochs) + 1):
        outcomes = fit.epoch(number)
    head.load_state_dict({n.removeprefix("head."): v for n, v in fit.weights().items()})
    return TrainedHead(head, *outcomes)
