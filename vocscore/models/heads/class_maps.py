"""Class maps: the logit of each class at each place of the backbone's last map."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from vocscore.errors import CheckpointError
from vocscore.models.heads.csra import ResidualAttention
from vocscore.models.heads.maps import cut_before_pooling

_CLOSE = 1e-3


class ClassMaps(nn.Module):
    """Images (N, 3, S, S) -> class maps (N, C, h, w).

    A place's value is the logit of an image that shows everywhere what it shows there. Without
    attention these are class activation maps, whose mean is the logit (Zhou et al., Learning Deep
    Features for Discriminative Localization, CVPR 2016); of a refined head, the logits before the
    refinement.

    Args:
        backbone: images -> maps (N, F, h, w).
        head: of the network.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalized images (N, 3, S, S) -> class maps (N, C, h, w)."""
        maps = self.backbone(images)
        if isinstance(self.head, ResidualAttention):
            return self.head.class_maps(maps)
        weight = self.head.weight
        assert isinstance(weight, torch.Tensor)
        return functional.conv2d(maps, weight[:, :, None, None], self.head.bias)  # type: ignore[arg-type]


def class_maps(backbone: nn.Module, head: nn.Module, *, name: str, size: int) -> ClassMaps:
    """Return the class maps of a network, whose parameters they share.

    Args:
        backbone: of the network; set to evaluation mode.
        head: of the network.
        name: of the backbone, for errors.
        size: height and width of the images, pixels.

    Raises:
        CheckpointError: the backbone has no map, or layers between the map and a linear head.
    """
    backbone.eval()
    if isinstance(head, ResidualAttention):
        return ClassMaps(backbone, head)
    if not hasattr(head, "weight"):
        raise CheckpointError(
            f"{name}: an imported classifier with its own last layers has no heat maps. Train "
            "a head on its weights: 'vocscore train' with `weights`."
        )
    cut, _ = cut_before_pooling(backbone, name=name, size=size)
    noise = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        mean, pooled = cut(noise).mean((2, 3)), backbone(noise)
    if mean.shape != pooled.shape or not torch.allclose(mean, pooled, rtol=_CLOSE, atol=_CLOSE):
        raise CheckpointError(
            f"backbone {name!r} has layers between its map and its features, so a head on features "
            f"has no heat maps. Train one on maps: `head='csra'`."
        )
    return ClassMaps(cut, head)
