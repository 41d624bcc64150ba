"""What is trained for each kind of head, and how it becomes the head of the checkpoint.

Training sees standardized features, and a label graph's weights; `HeadFit.fold` returns the state
of the network's head, which takes what the backbone gives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from vocscore.models.head_spec import CHAIN, CSRA, HeadSpec
from vocscore.models.heads.chain import Refinement
from vocscore.models.heads.csra import ResidualAttention
from vocscore.models.heads.gcn import GraphProbe, label_graph
from vocscore.training.feature_scaling import measure_standard, no_standard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vocscore.config.model import ModelConfig
    from vocscore.models.heads.attach import Head
    from vocscore.training.feature_scaling import Standard

LAMBDAS: Final = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
"""The candidates for CSRA's lambda; 0 is a linear head."""
GCN: Final = "gcn"
_POOLED_ROWS = 256
"""Maps that are converted to float32 at a time."""


@dataclass(frozen=True, slots=True)
class HeadFit:
    """A head in the form in which it is trained.

    Attributes:
        module: trained in place: standardized features, or maps, of some images -> logits (N, C).
        fold: the module, or its moving average -> state of the network's head.
        penalty: added to the mean loss of a step; None: nothing.
    """

    module: nn.Module
    fold: Callable[[nn.Module], dict[str, torch.Tensor]]
    penalty: Callable[[nn.Module], torch.Tensor] | None = None


def head_spec(model: ModelConfig) -> HeadSpec | None:
    """The head that a training is to save; None for a linear one, which 'gcn' becomes."""
    if model.head == CSRA:
        return HeadSpec(CSRA, model.csra_lambda or 0.0, model.csra_temperature)
    return HeadSpec(CHAIN) if model.head == CHAIN else None


def head_origin(model: ModelConfig) -> dict[str, str]:
    """What the card says of a head that it cannot show: a folded one is a plain linear layer."""
    return {"head": "gcn, folded into a linear layer"} if model.head == GCN else {}


def open_head_fits(
    head: Head,
    model: ModelConfig,
    labels: torch.Tensor,
    *,
    standard: Standard,
    seed: int,
    graph: torch.Tensor | None = None,
) -> list[HeadFit]:
    """Open what is to be trained; the best on the validation split is kept.

    Args:
        head: of the network; it is trained in place if its form in training is its own.
        model: says the kind of head.
        labels: int8 (N, C), of the training split.
        standard: of its features.
        seed: of initial weights.
        graph: of 'gcn', float32 (C, C); None: of the labels.

    Returns:
        One per candidate; most heads have only one.
    """
    if isinstance(head, ResidualAttention):
        lambdas = LAMBDAS if model.csra_lambda is None else (model.csra_lambda,)
        return [_attention(head, standard, residual) for residual in lambdas]
    if isinstance(head, Refinement):
        return [HeadFit(head, partial(_refined, standard), Refinement.penalty)]  # type: ignore[arg-type]
    if model.head == GCN:
        graph = label_graph(labels) if graph is None else graph
        return [HeadFit(GraphProbe(head.in_features, graph=graph, seed=seed), standard.fold)]
    return [HeadFit(head, standard.fold)]


def _attention(like: ResidualAttention, standard: Standard, residual: float) -> HeadFit:
    """One candidate for lambda."""
    made = ResidualAttention(
        like.in_features, like.out_features, residual=residual, temperature=like.temperature
    )

    @torch.no_grad()
    def fold(module: nn.Module) -> dict[str, torch.Tensor]:
        assert isinstance(module, ResidualAttention)
        return module.shifted(standard.mean, standard.scale)

    return HeadFit(made, fold)


def _refined(standard: Standard, module: nn.Module) -> dict[str, torch.Tensor]:
    assert isinstance(module, Refinement)
    return {**standard.fold(module), "coupling": module.coupling * module.others}


def settled(model: ModelConfig, weights: Mapping[str, torch.Tensor]) -> ModelConfig:
    """The settings with the lambda that a training chose.

    Args:
        model: the settings of the training.
        weights: of the network that it kept.
    """
    chosen = lambda_of(weights)
    return model if chosen is None else replace(model, csra_lambda=chosen)


def lambda_of(weights: Mapping[str, torch.Tensor]) -> float | None:
    """CSRA's lambda in the weights of a network; None for other heads."""
    found = weights.get("head.residual")
    return None if found is None else round(float(found), 6)  # stored as float32


def measure_pooled(values: torch.Tensor, *, standardize: bool) -> Standard:
    """Measure the standard of features, or of maps as if pooled.

    Args:
        values: of the training split, (N, F) or (N, F, h, w).
        standardize: False: the identity.
    """
    if values.ndim > 2:
        parts = torch.split(values, _POOLED_ROWS)
        values = torch.cat([part.float().flatten(2).mean(2) for part in parts])
    return measure_standard(values) if standardize else no_standard(values)
