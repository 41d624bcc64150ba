"""Builds a backbone with flat features and a linear head from torchvision's and timm's models."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
import torchvision.models
from torch import nn

from vocscore.errors import CheckpointError
from vocscore.models.backbones import is_timm, refuse_unknown
from vocscore.models.heads.attach import attach_head
from vocscore.models.timm_backbones import SIZE_ERRORS, TimmBackbone, open_timm, refused_size
from vocscore.models.timm_models import check_timm, model_preprocess
from vocscore.models.timm_weights import convert
from vocscore.models.weight_files import first_line, run_card, run_of
from vocscore.models.weights import fit_weights, imagenet_weights, read_weights
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable

    from vocscore.models.head_spec import HeadSpec
    from vocscore.models.heads.attach import Head
    from vocscore.models.weights import Weights

AUXILIARY_HEADS = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}
"""Backbones with auxiliary classifiers, and the prefixes of their keys. These help only in training
with one label per image; they are never built, and their keys are dropped."""

HALF = (0.5, 0.5, 0.5)


class Network(nn.Module):
    """A backbone and a head; every logit is unbounded and independent of the others.

    Attributes:
        backbone: float32 images (N, 3, S, S), normalized by the checkpoint's Preprocess ->
            features (N, F); with a head on maps, the last map (N, F, h, w).
        head: the backbone's output -> logits (N, C); linear unless `with_head` replaced it.
        weights_at: where in their file the backbone's initial weights were, as returned by
            `fit_weights`; '' also if they did not come from a file.
    """

    backbone: nn.Module
    head: Head
    weights_at: str = ""

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalized float32 images (N, 3, S, S) -> logits (N, C)."""
        logits: torch.Tensor = self.head(self.backbone(images))
        return logits


def build_network(
    backbone: str,
    *,
    classes: int,
    weights: str,
    size: int,
    on_stage: Callable[[str], None] | None = None,
) -> Network:
    """Build a network for training.

    Args:
        backbone: name of a torchvision classification model, or 'timm/NAME'.
        classes: number of logits of the new head, which is initialized randomly.
        weights: 'imagenet' (torchvision's or timm's, downloaded once), 'none' (random), a run of
            this program, or the path of a state dict of the same library, pickled or safetensors,
            also inside the checkpoint of a training script. Its classifier and auxiliary heads are
            ignored, so it may have any number of classes.
        size: height and width of the images, pixels; some models of timm are built for it.
        on_stage: called before weights are downloaded.

    Returns:
        The network on the CPU, in training mode.

    Raises:
        CheckpointError: no such backbone, the weights are missing or do not fit, or the backbone
            does not accept images of this size.
    """
    if is_timm(backbone):
        check_timm(backbone)
    random = weights == "none"
    network, dropped = _bare(backbone, classes=classes, size=size, authors_init=random)
    if weights == "imagenet":
        state = imagenet_weights(backbone, on_stage=on_stage)
        _fit(network.backbone, state, backbone=backbone, dropped=dropped, published=True)
    elif not random:
        state = read_weights(weights)
        network.weights_at = _fit(network.backbone, state, backbone=backbone, dropped=dropped)
    _check_size(network, backbone, size=size)
    return network


def empty_network(backbone: str, *, classes: int, size: int) -> Network:
    """Build the same structure with random weights, to be filled from a checkpoint; no download.

    Raises:
        CheckpointError: no such backbone, or it needs timm, which is not installed.
    """
    return _bare(backbone, classes=classes, size=size, authors_init=False)[0]


def with_head(network: Network, spec: HeadSpec | None, *, backbone: str, size: int) -> Network:
    """Replace the linear head of a network, in place, and return the network.

    Args:
        network: with a linear head.
        spec: the head, which starts at zero; None: keep the linear one.
        backbone: its name, for errors.
        size: height and width of the images, pixels.

    Raises:
        CheckpointError: the head needs a map, and the backbone has none.
    """
    if spec is not None:
        assert isinstance(network.head, nn.Linear)
        network.backbone, network.head = attach_head(
            network.backbone, network.head, spec, name=backbone, size=size
        )
    return network


def input_preprocess(backbone: str, *, weights: str, size: int) -> Preprocess:
    """Return the preprocessing that a backbone with these weights expects.

    Most expect ImageNet's mean and standard deviation. `efficientnet_v2_l` documents 0.5 and 0.5.
    `googlenet` and `inception_v3` effectively use the same: their weights were trained elsewhere,
    and torchvision sets `transform_input` for them, which converts ImageNet's normalization to this
    one inside the model. Here the images are normalized in this way directly. timm's models state
    theirs, whether the weights are timm's, random or from a file.

    Raises:
        CheckpointError: no such backbone.
    """
    if not is_timm(backbone):
        _check_known(backbone)
    run = run_of(weights)
    if run is not None:  # the preprocessing that its weights were trained with
        return replace(run_card(run, backbone=backbone).preprocess, size=size, upright=True)
    if is_timm(backbone):
        own = model_preprocess(backbone)
        # Squashed to `size`, like other backbones: in most splits better than the model's own crop
        # of 224 pixels, see docs/training.md, "timm".
        return Preprocess(size=size, mean=own.mean, std=own.std)
    if weights == "none":
        return Preprocess(size=size)
    if backbone in AUXILIARY_HEADS:
        return Preprocess(size=size, mean=HALF, std=HALF)
    preset = torchvision.models.get_model_weights(backbone).DEFAULT.transforms()
    return Preprocess(size=size, mean=tuple(preset.mean), std=tuple(preset.std))


def _bare(
    backbone: str, *, classes: int, size: int, authors_init: bool
) -> tuple[Network, tuple[str, ...]]:
    """Return a network, and the key prefixes of its library's model that it does not use."""
    if is_timm(backbone):
        made = open_timm(backbone, size=size)
        return Network(made, nn.Linear(made.width, classes)), made.classifiers
    _check_known(backbone)
    if backbone in AUXILIARY_HEADS:
        model = torchvision.models.get_model(
            backbone, weights=None, aux_logits=False, init_weights=authors_init
        )
    else:
        model = torchvision.models.get_model(backbone, weights=None)
    features, name = _cut_head(model, backbone)
    return Network(model, nn.Linear(features, classes)), (
        f"{name}.",
        *AUXILIARY_HEADS.get(backbone, ()),
    )


def _fit(
    module: nn.Module,
    weights: Weights,
    *,
    backbone: str,
    dropped: tuple[str, ...],
    published: bool = False,
) -> str:
    """Copy weights into a backbone; see `fit_weights` and, for `published`, `convert`."""
    if not isinstance(module, TimmBackbone):
        return fit_weights(module, weights, backbone=backbone, dropped=dropped)
    return fit_weights(
        module.model,
        weights,
        backbone=backbone,
        dropped=dropped,
        convert=partial(convert, module.model, published=published),
    )


def _check_known(backbone: str) -> None:
    """Raise CheckpointError with similar names if torchvision has no such model."""
    refuse_unknown(backbone, torchvision.models.list_models(module=torchvision.models))


def _cut_head(model: nn.Module, backbone: str) -> tuple[int, str]:
    """Remove the last layer, in place.

    Returns:
        The number of its input features, and its dotted name.
    """
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    linear = [(n, m) for n, m in layers if isinstance(m, nn.Linear)]
    if linear:
        name, head = linear[-1]
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, nn.Identity())
        return head.in_features, name
    name, last = layers[-1]
    if not backbone.startswith("squeezenet") or not isinstance(last, nn.Conv2d):
        raise CheckpointError(f"backbone {backbone!r} ends in a layer that cannot be replaced.")
    # SqueezeNet ends in dropout, 1x1 convolution, ReLU, average pooling. With the ReLU, every logit
    # would be at least 0 and every probability at least 0.5. Without it, convolution and average
    # commute, so the backbone pools and the head does the convolution.
    dropout = model.get_submodule("classifier.0")
    model.classifier = nn.Sequential(dropout, nn.AdaptiveAvgPool2d((1, 1)))
    return last.in_channels, name


def _check_size(network: Network, backbone: str, *, size: int) -> None:
    """Run the network on one black image.

    Raises:
        CheckpointError: the backbone does not accept images of this size.
    """
    network.eval()
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, size, size))
    except SIZE_ERRORS as error:
        reason = first_line(error)
        if is_timm(backbone):
            raise refused_size(backbone, size=size, reason=reason) from error
        preset = torchvision.models.get_model_weights(backbone).DEFAULT.transforms()
        raise CheckpointError(
            f"backbone {backbone!r} does not accept {size}x{size} pixels ({reason}). "
            f"Use `size={preset.crop_size[0]}`, for which it was designed."
        ) from error
    network.train()
