"""One training as it was asked for: everything that `train` was given, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.pipeline.augment import Augmentation
    from vocscore.ranks import Ranks
    from vocscore.training.choices import (
        DataChoice,
        Keeping,
        LossChoice,
        NetworkChoice,
        Optimization,
    )
    from vocscore.training.history import EpochResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a training is asked to do; `vocscore.training.train.train` describes the fields."""

    shards: Path
    out: Path
    network: NetworkChoice
    data: DataChoice
    optimization: Optimization
    loss: LossChoice
    keeping: Keeping
    augmentation: Augmentation
    seed: int
    loader: str
    device: str
    threads: int
    resume: bool
    recipe: str | None
    ranks: Ranks
    on_step: Callable[[int, int], None] | None
    on_epoch: Callable[[EpochResult], None] | None
    on_stage: Callable[[str], None] | None

    def stage(self, name: str) -> None:
        """Report what begins."""
        if self.on_stage is not None:
            self.on_stage(name)
