"""The arguments of one training, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vocscore.machine import bound_images, usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.config.compute import ComputeConfig
    from vocscore.config.training import TrainConfig
    from vocscore.ranks import Ranks
    from vocscore.training.history import EpochResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The arguments of a training; `vocscore.training.train.train` describes the fields."""

    shards: Path
    out: Path
    config: TrainConfig
    compute: ComputeConfig
    resume: bool
    folds: int | None
    quantize: bool
    recipe: str | None
    ranks: Ranks
    chart_format: str
    command: str | None
    on_step: Callable[[int, int], None] | None
    on_epoch: Callable[[EpochResult], None] | None
    on_stage: Callable[[str], None] | None

    @property
    def threads(self) -> int:
        """Threads of this process's loader."""
        return loader_threads(self.compute, self.ranks)

    def stage(self, name: str) -> None:
        """Report the stage that starts now."""
        if self.on_stage is not None:
            self.on_stage(name)


def bound_memory(compute: ComputeConfig, ranks: Ranks) -> None:
    """Bound the memory for images of this process: its share of what was asked for."""
    bound_images(compute.image_memory, processes=ranks.local_size)


def loader_threads(compute: ComputeConfig, ranks: Ranks) -> int:
    """Decoding threads per process: as requested, else the process's share of the cores."""
    return compute.workers or max(1, usable_cores() // ranks.local_size)
