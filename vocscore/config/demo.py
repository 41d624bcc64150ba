"""The options of `vocscore demo`, and the settings of its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from vocscore.config.option import Group, option

BACKBONE: Final = "resnet18"
SIZE: Final = 64
"""Pixels per side, so that the training takes a few minutes on two cores."""
LEARNING_RATE: Final = 0.08
"""Higher than the experiment's: the network starts from random weights and sees few images."""


@dataclass(frozen=True, kw_only=True)
class DemoConfig(Group):
    """How many images are drawn, and how long the network is trained."""

    title: ClassVar[str] = "Demo"

    images: int = option(1200, help="Images to draw.", metavar="IMAGES", minimum=60)
    epochs: int = option(10, help="Passes over the training images.", minimum=1)
    overwrite: bool = option(False, help="Replace an earlier demo in DIR.")
