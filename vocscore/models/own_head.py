"""Whole classifiers of torchvision and timm, with the last layers that their authors gave them.

An imported classifier usually ends in one linear layer, which becomes the head of a `Network`. One
that does not (SqueezeNet's ends in a convolution, a ReLU and an average; some of timm's average two
layers) is kept as it is: its card says `"head": {"kind": "own"}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torchvision.models
from torch import nn

from vocscore.errors import CheckpointError
from vocscore.models.backbones import is_timm, refuse_unknown
from vocscore.models.network import AUXILIARY_HEADS, Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vocscore.models.card import ModelCard

ARGUMENTS = frozenset(
    {
        *("class_token", "depth", "dynamic_img_size", "embed_dim", "fc_norm", "final_norm"),
        *("global_pool", "head_init_scale", "img_size", "init_values", "mlp_ratio"),
        *("no_embed_class", "num_heads", "patch_size", "pre_norm", "qkv_bias", "qk_norm"),
        *("reg_tokens", "drop_rate", "drop_path_rate"),
    }
)
"""Arguments of timm's models that may come from a file: they choose an architecture, and open no
file."""


class OwnHead(nn.Module):
    """Takes the place of the head where the backbone is a whole classifier: logits -> logits."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.in_features = self.out_features = classes

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, C) unchanged."""
        return logits


def build_whole(
    backbone: str, *, classes: int, size: int, arguments: Mapping[str, Any] | None = None
) -> nn.Module:
    """Build a classifier as its library does, with random weights; no download.

    Args:
        backbone: name of a torchvision classifier, or timm/NAME.
        classes: number of logits.
        size: height and width of the images, pixels; models of a fixed size are built for it.
        arguments: of timm's `create_model`, those of `ARGUMENTS`.

    Returns:
        Normalized float32 images (N, 3, S, S) -> logits (N, C); in evaluation mode.

    Raises:
        CheckpointError: no such classifier, or it cannot be built in this way.
    """
    if is_timm(backbone):
        return _timm_whole(backbone, classes, size, check_arguments(arguments or {}))
    refuse_unknown(backbone, torchvision.models.list_models(module=torchvision.models))
    more = {"aux_logits": False, "init_weights": False} if backbone in AUXILIARY_HEADS else {}
    model = torchvision.models.get_model(backbone, weights=None, num_classes=classes, **more)
    built: nn.Module = model.eval()
    return built


def check_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse arguments of a file that could do more than choose an architecture.

    Raises:
        CheckpointError: one has another name, or is not a plain value.
    """
    for name, value in arguments.items():
        plain = value is None or isinstance(value, (bool, int, float, str))
        if name not in ARGUMENTS or not plain:
            raise CheckpointError(
                f"the architecture has the argument {name!r} = {value!r}, which is not supported. "
                "Export the model to ONNX and import that."
            )
    return dict(arguments)


def _timm_whole(backbone: str, classes: int, size: int, arguments: Mapping[str, Any]) -> nn.Module:
    from vocscore import offline
    from vocscore.models.timm_backbones import SIZE_ERRORS
    from vocscore.models.timm_models import architecture, configuration, timm_library

    name, library = architecture(backbone), timm_library(backbone)
    sized = {"img_size": size} if configuration(backbone).get("fixed_input_size") else {}
    try:
        with offline.hub_closed():
            model = library.create_model(
                name, pretrained=False, num_classes=classes, **{**arguments, **sized}
            )
    except SIZE_ERRORS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CheckpointError(
            f"timm cannot build {name} for {size}x{size} pixels ({reason}). Choose another `size`."
        ) from error
    built: nn.Module = model.eval()
    return built


def own_network(card: ModelCard) -> Network:
    """Build the network of a card whose head is of this kind, with random weights.

    Raises:
        CheckpointError: as `build_whole`.
    """
    whole = build_whole(
        card.backbone,
        classes=len(card.classes),
        size=card.preprocess.size,
        arguments=card.head.get("arguments"),
    )
    return wrapped(whole, classes=len(card.classes))


def wrapped(whole: nn.Module, *, classes: int) -> Network:
    """Make a network of a whole classifier."""
    return Network(whole, OwnHead(classes))  # type: ignore[arg-type]
