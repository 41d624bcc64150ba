"""Makes the 8-bit model of a run at its end, for `train --quantize`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from vocscore.config.exporting import CalibrationConfig, QuantizeConfig
from vocscore.errors import AcceptanceError
from vocscore.exporting.quantize import quantize

if TYPE_CHECKING:
    from collections.abc import Callable

    from vocscore.exporting.quantize import QuantizeReport
    from vocscore.models.card import ModelCard
    from vocscore.training.history import TrainReport
    from vocscore.training.job import Job


class Quantizing:
    """The last step of a run, if it was asked for, and what came of it.

    Args:
        job: the training.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._made: QuantizeReport | None = None
        self._problems: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[Callable[[ModelCard], None], ...]:
        """What is done when the checkpoint is written: nothing, or the quantization."""
        return (self._quantize,) if self._job.quantize else ()

    def added(self, report: TrainReport) -> TrainReport:
        """Add the result to the report of the run."""
        return replace(report, quantized=self._made, problems=(*report.problems, *self._problems))

    def _quantize(self, _card: ModelCard) -> None:
        """Quantize as `vocscore quantize RUN` does, so that the bytes are the same."""
        data = CalibrationConfig(max_pixels=self._job.config.data.max_pixels)
        try:
            self._made = quantize(
                self._job.out, QuantizeConfig(data=data), on_stage=self._job.on_stage
            )
        except AcceptanceError as error:
            command = shlex.join(["vocscore", "quantize", str(self._job.out)])
            self._problems = (f"{error} Both are options of: {command}",)
