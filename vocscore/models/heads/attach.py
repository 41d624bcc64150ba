"""Gives a network the head that a card, or a training, describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from torch import nn

from vocscore.models.heads.chain import Refinement
from vocscore.models.heads.csra import ResidualAttention
from vocscore.models.heads.maps import cut_before_pooling

if TYPE_CHECKING:
    from vocscore.models.head_spec import HeadSpec

Head: TypeAlias = "nn.Linear | ResidualAttention | Refinement"
"""All have `in_features`, `out_features`, `weight` (C, F) and `bias` (C,)."""


def empty_head(spec: HeadSpec | None, *, features: int, classes: int) -> Head:
    """Build a head to be filled from a checkpoint or trained; None: a linear one."""
    if spec is None:
        return nn.Linear(features, classes)
    if not spec.on_maps:
        return Refinement(features, classes)
    return ResidualAttention(
        features, classes, residual=spec.residual, temperature=spec.temperature
    )


def attach_head(
    backbone: nn.Module, linear: nn.Linear, spec: HeadSpec, *, name: str, size: int
) -> tuple[nn.Module, Head]:
    """Return a backbone and a head on it that starts at zero.

    Args:
        backbone: with flat features.
        linear: the linear head on it.
        spec: the head.
        name: of the backbone, for errors.
        size: height and width of the network's input.

    Returns:
        The backbone, without its pooling if the head is on maps; and the head.

    Raises:
        CheckpointError: the head needs a map, and the backbone has none.
    """
    features = linear.in_features
    if spec.on_maps:
        backbone, features = cut_before_pooling(backbone, name=name, size=size)
    return backbone, empty_head(spec, features=features, classes=linear.out_features)


def head_json(head: Head) -> dict[str, Any]:
    """Describe a head for the card; empty for a linear one."""
    return {} if isinstance(head, nn.Linear) else head.spec().to_json()
