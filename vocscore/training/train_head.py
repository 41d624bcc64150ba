"""Trains one head on features in memory, without a run: for folds and comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from vocscore.config.training import DataConfig, TrainConfig
from vocscore.models.heads.attach import empty_head
from vocscore.training.converged import ConvergedTrainer
from vocscore.training.head_fits import head_spec
from vocscore.training.linear_probe import HeadTrainer, start_at_zero
from vocscore.training.losses import open_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vocscore.config.model import ModelConfig
    from vocscore.config.optimization import OptimizationConfig
    from vocscore.config.training import LossConfig
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
    keys: Sequence[str] = (),
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
        keys: of the training images, as for `open_head_fit`.

    Raises:
        DivergedError: the loss is NaN or infinite.
    """
    config = TrainConfig(model=model, optimization=choice, loss=loss, data=DataConfig(seed=seed))
    classes, features = train.labels.shape[1], train.values.shape[1]
    head = empty_head(head_spec(model), features=features, classes=classes)
    fit = open_head_fit(head, train, val, config=config, keys=keys, graph=graph)
    for number in range(1, (epochs or config.passes) + 1):
        outcomes = fit.epoch(number)
    head.load_state_dict({n.removeprefix("head."): v for n, v in fit.weights().items()})
    return TrainedHead(head, *outcomes)


def open_head_fit(
    head: Head,
    train: Features,
    val: Features,
    *,
    config: TrainConfig,
    keys: Sequence[str],
    graph: torch.Tensor | None = None,
) -> HeadTrainer | ConvergedTrainer:
    """Open the trainer of a head on features.

    Args:
        head: on the CPU; it is set to zero.
        train: features to learn from.
        val: features to validate on.
        config: the settings.
        keys: of the training images; copies of a file have the same key. May be empty.
        graph: as for `train_head`.
    """
    start_at_zero(head)
    loss = open_loss(config.loss, train.labels, device=torch.device("cpu"))
    seed = config.data.seed % 2**63
    if config.converges:
        assert isinstance(head, nn.Linear)
        return ConvergedTrainer(
            head,
            train=train,
            val=val,
            loss=loss,
            limit=config.loss.class_weight,
            l2=config.optimization.l2,
            keys=keys,
            seed=seed,
        )
    choice, model = config.optimization, config.model
    return HeadTrainer(
        head, train=train, val=val, choice=choice, loss=loss, seed=seed, model=model, graph=graph
    )
