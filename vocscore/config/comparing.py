"""The options of `vocscore compare`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from vocscore.config.evaluating import BootstrapConfig
from vocscore.config.option import Group, option


@dataclass(frozen=True, kw_only=True)
class ComparedConfig(Group):
    """How two predictions are judged."""

    title: ClassVar[str] = "Judging"

    labels: Path | None = option(
        None,
        help="Packed shards with the labels of the images.",
        metavar="SHARDS",
        unset="those that the first model was trained from, if they have the images",
    )
    threshold: float | None = option(
        None,
        help="Decide both with this threshold, instead of the labels in the predictions.",
        metavar="PROBABILITY",
        unset="the labels in the predictions",
        minimum=0,
        maximum=1,
    )
    all_images: bool = option(
        False, help="Also judge by images that one of the models was trained on."
    )


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """All settings of a comparison, except what is compared."""

    judged: ComparedConfig = field(default_factory=ComparedConfig)
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
