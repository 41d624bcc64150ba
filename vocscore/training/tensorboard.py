"""Writes the metrics of every epoch to TensorBoard during training."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vocscore.errors import TrainError
from vocscore.training.history import FIGURES, SPLITS

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.training.history import EpochResult


class TensorBoardLog:
    """Writes one point per epoch and metric; each split is a run, so that charts show both.

    Args:
        folder: for the folders 'train' and 'val'; made with the first epoch.

    Raises:
        TrainError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if find_spec("tensorboard") is None:  # not imported yet: it would load torch
            raise TrainError(
                "`tensorboard=True` needs TensorBoard, which is not installed. "
                "pip install 'vocscore[tensorboard]'."
            )
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def __call__(self, result: EpochResult) -> None:
        """Write an epoch, and flush it.

        Raises:
            OSError: the folder cannot be written.
        """
        from torch.utils.tensorboard import SummaryWriter

        for split in SPLITS:
            if split not in self._writers:
                # purge_step: readers drop what an interrupted run wrote for this epoch.
                self._writers[split] = SummaryWriter(
                    str(self._folder / split), purge_step=result.epoch
                )
            writer, figures = self._writers[split], getattr(result, split)
            for name in FIGURES:
                value = getattr(figures, name)
                if not math.isnan(value):
                    writer.add_scalar(name, value, result.epoch)
            if split == "train":
                writer.add_scalar("learning_rate", result.learning_rate, result.epoch)
            writer.flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
