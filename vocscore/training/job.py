"""One training as it was asked for: everything that `train` was given, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vocscore.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.config.compute import ComputeConfig
    from vocscore.config.training import TrainConfig
    from vocscore.ranks import Ranks
    from vocscore.training.history import EpochResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a training is asked to do; `vocscore.training.train.train` describes the fields."""

    shards: Path
    out: Path
    config: TrainConfig
    compute: ComputeConfig
    resume: bool
    recipe: str | None
    ranks: Ranks
    on_step: Callable[[int, int], None] | None
    on_epoch: Callable[[EpochResult], None] | None
    on_stage: Callable[[str], None] | None

    @property
    def threads(self) -> int:
        """Threads of this process's loader."""
        return loader_threads(self.compute, self.ranks)

    def stage(self, name: str) -> None:
        """Report what begins."""
        if self.on_stage is not None:
            self.on_stage(name)


def loader_threads(compute: ComputeConfig, ranks: Ranks) -> int:
    """Threads that decode in one process: as asked, else its share of the machine's cores."""
    return compute.workers or max(1, usable_cores() // ranks.local_size)
