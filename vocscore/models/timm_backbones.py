"""Builds backbones from timm's models with random weights; nothing is downloaded here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vocscore import offline
from vocscore.errors import CheckpointError
from vocscore.models.timm_models import (
    architecture,
    configuration,
    model_preprocess,
    timm_library,
)
from vocscore.models.weight_files import first_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SIZE_ERRORS = (
    ArithmeticError,
    AssertionError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What models raise for a size that they do not accept, when they are built or run."""
_STEPS = (32, 16)
"""Sizes are usually multiples of these, if the model has no patches that say more."""


class TimmBackbone(nn.Module):
    """A model of timm without its classifier.

    Attributes:
        model: timm's model, created with `num_classes=0`.
    """

    model: nn.Module

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, S, S) -> features (N, F), by the model's own pooling and normalization."""
        model: Any = self.model
        # Not model(images): distilled models return two tensors in training.
        features: torch.Tensor = model.forward_head(model.forward_features(images), pre_logits=True)
        return features

    def forward_map(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, S, S) -> the last map (N, C, h, w), before pooling; C may differ from F.

        Tokens of transformers are arranged as a map, without class and register tokens.

        Raises:
            CheckpointError: the model has no map.
        """
        model: Any = self.model
        found = model.forward_features(images)
        if isinstance(found, torch.Tensor) and found.ndim == 4:
            channels_last = getattr(model, "output_fmt", "NCHW") == "NHWC"
            return found.permute(0, 3, 1, 2) if channels_last else found
        if isinstance(found, torch.Tensor) and found.ndim == 3:
            tokens = found[:, getattr(model, "num_prefix_tokens", 0) :]
            side = math.isqrt(tokens.shape[1])
            if side * side == tokens.shape[1]:
                # not reshape(N, ...): a converted graph would keep the N of the example, 1
                return torch.unflatten(tokens.transpose(1, 2), 2, (side, side))
        raise CheckpointError(
            f"timm's {type(model).__name__} has no feature map. Use another backbone."
        )

    @property
    def width(self) -> int:
        """F, the number of features."""
        model: Any = self.model
        return int(getattr(model, "head_hidden_size", None) or model.num_features)

    @property
    def patch(self) -> int | None:
        """Side of the patches of a model of a fixed size, in pixels; None if it has none."""
        model: Any = self.model
        side = getattr(getattr(model, "patch_embed", None), "patch_size", None)
        if side is None or not model.pretrained_cfg.get("fixed_input_size"):
            return None
        return int(side if isinstance(side, int) else side[0])

    @property
    def classifiers(self) -> tuple[str, ...]:
        """Prefixes of the keys of the removed classifier in timm's state dicts."""
        model: Any = self.model
        names = model.pretrained_cfg.get("classifier") or ()
        return tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))


def open_timm(backbone: str, *, size: int) -> TimmBackbone:
    """Build a backbone with random weights, without a download.

    Args:
        backbone: 'timm/NAME' or 'timm/NAME.TAG'.
        size: height and width of the images; models of a fixed size are built for it.

    Raises:
        CheckpointError: timm is missing, has no such model, or it does not accept this size.
    """
    try:
        return _created(backbone, size=size)
    except SIZE_ERRORS as error:
        raise refused_size(backbone, size=size, reason=first_line(error)) from error


def refused_size(backbone: str, *, size: int, reason: str) -> CheckpointError:
    """Return the error for a size that a model does not accept, with sizes that it accepts."""
    own = model_preprocess(backbone).size
    with torch.device("meta"):
        patch = _created(backbone, size=own).patch
    steps = [patch] if patch else _STEPS
    accepted = [near for near in _near(size, steps) if _accepts(backbone, near)][:2]
    multiples = f" It takes multiples of {patch}." if patch and accepted else ""
    others = " or ".join(f"`size={near}`" for near in accepted if near != own)
    return CheckpointError(
        f"backbone {backbone!r} does not accept {size}x{size} pixels ({reason}).{multiples} Use "
        f"{f'{others}, or ' if others else ''}`size={own}`, for which it was designed."
    )


def _created(backbone: str, *, size: int) -> TimmBackbone:
    """Build a backbone on torch's default device.

    Raises:
        ValueError: the size is not a multiple of its patches; timm would ignore the last pixels.
    """
    fixed = configuration(backbone).get("fixed_input_size", False)
    sized = {"img_size": size} if fixed else {}
    create_model = timm_library(backbone).create_model
    with offline.hub_closed():
        made = TimmBackbone(
            create_model(architecture(backbone), pretrained=False, num_classes=0, **sized)
        )
    if made.patch is not None and size % made.patch:
        raise ValueError(f"patches of {made.patch}x{made.patch}")
    return made


def _near(size: int, steps: Iterable[int]) -> Iterator[int]:
    """Yield multiples of each step around a size: the largest below, the smallest above."""
    for step in steps:
        below = (size - 1) // step * step
        yield from (near for near in (below, below + step) if near > 0 and near != size)


def _accepts(backbone: str, size: int) -> bool:
    """Whether a model can be built for a size and run; tried without computing anything."""
    try:
        with torch.device("meta"), torch.inference_mode():
            _created(backbone, size=size).eval()(torch.zeros(1, 3, size, size))
    except SIZE_ERRORS:
        return False
    return True
