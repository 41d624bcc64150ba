"""A backbone of milliseconds, for tests whose subject is not the backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    import pytest

PLAIN, DROPOUT = "tiny", "tiny_dropout"


class Tiny(nn.Module):
    """What the large ones have: convolutions, batch statistics, a linear classifier, maybe dropout.

    Each side is divided by 32, as in ResNet: 32x32 pixels end as one place.
    """

    def __init__(self, *, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 8, stride=8, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 4, stride=4, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
        )
        self.fc = nn.Linear(16, 1000)

    def forward(self, images: Any) -> Any:
        return self.fc(self.layers(images))


def tiny(*, weights: None = None, **_config: Any) -> Tiny:
    """As torchvision's own builders are called; there are no weights for it."""
    return Tiny(dropout=0.0)


def tiny_dropout(*, weights: None = None, **_config: Any) -> Tiny:
    """The same with dropout, so that training draws random numbers."""
    return Tiny(dropout=0.5)


tiny.__module__ = tiny_dropout.__module__ = "torchvision.models.tiny"


def register(patch: pytest.MonkeyPatch) -> None:
    """Let torchvision and the program know both backbones, as long as the patch lasts."""
    from torchvision.models import _api

    from vocscore.models import backbones

    known = backbones.names_in_source() | {PLAIN, DROPOUT}
    patch.setattr(backbones, "names_in_source", lambda: known)
    patch.setitem(_api.BUILTIN_MODELS, PLAIN, tiny)
    patch.setitem(_api.BUILTIN_MODELS, DROPOUT, tiny_dropout)
