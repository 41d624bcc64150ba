"""A training run: the epochs, a resumable state after each, and the final results."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from vocscore.charts.canvas import require_matplotlib
from vocscore.errors import ChartError, DivergedError
from vocscore.evaluation.decisions import fit_decisions
from vocscore.evaluation.metrics import report
from vocscore.models.heads.attach import head_json
from vocscore.records.keys import stored
from vocscore.training.epochs import run_epochs
from vocscore.training.head_fits import lambda_of
from vocscore.training.history import SPLITS, TrainReport, write_history
from vocscore.training.plots import validation_charts
from vocscore.training.precision_check import measure_faithfulness
from vocscore.training.run_folder import HISTORY, end_run, finish_run, save_state
from vocscore.training.splits import without_positives

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.config.training import CheckpointConfig
    from vocscore.device import Device
    from vocscore.evaluation.decisions import Decisions
    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network
    from vocscore.training.epochs import SoFar
    from vocscore.training.history import EpochResult
    from vocscore.training.splits import Splits
    from vocscore.training.trainer import SplitOutcome, Trainer


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A training run and its folder.

    Attributes:
        validate_exactly: evaluates the current network on the validation split in float32; None if
            every epoch already validates in float32.
        chosen: what the validation split chooses, as `chosen_on_validation`.
        chart_format: 'png', 'svg' or 'both'.
        on_stage: called with the name of each stage as it starts.
    """

    out: Path
    network: Network
    card: ModelCard
    splits: Splits
    so_far: SoFar
    keeping: CheckpointConfig
    device: Device
    max_pixels: int
    validate_exactly: Callable[[], SplitOutcome] | None = None
    chosen: tuple[str, ...] = ()
    chart_format: str = "png"
    on_stage: Callable[[str], None] | None = None

    def train(
        self,
        fit: Trainer,
        *,
        epochs: int,
        on_epoch: Callable[[EpochResult], None] | None,
    ) -> None:
        """Train the remaining epochs; after each, the run can be resumed."""
        coming = run_epochs(
            fit, self.so_far, epochs=epochs, keeping=self.keeping, threshold=self.card.threshold
        )
        try:
            for result in coming:
                state = {"so_far": self.so_far.to_state(), "fit": fit.state()}
                save_state(self.out, {**state, "generators": generators(device=self.device)})
                write_history(self.out / HISTORY, self.so_far.history)
                if on_epoch is not None:
                    on_epoch(result)
        except DivergedError as error:
            if self.so_far.kept is None:
                raise DivergedError(
                    f"{error} No epoch was finished: restart {self.out} with `overwrite=True`."
                ) from error
            self.finish()
            raise DivergedError(
                f"{error} {self.out} holds the checkpoint of epoch {self.so_far.kept.epoch}."
            ) from error

    def finish(self, *write_more: Callable[[ModelCard], None]) -> TrainReport:
        """Write the kept epoch's network, with the thresholds and temperature fitted to it.

        Args:
            *write_more: each is called with the network's card when everything else is written;
                if it is interrupted, the run can be resumed.
        """
        kept = self.so_far.kept
        assert kept is not None
        self._stage("checking bf16")
        write_history(self.out / HISTORY, self.so_far.history)
        self.network.load_state_dict({**self.network.state_dict(), **kept.weights})
        val = kept.val
        card, fitted = self._decided(val)
        fidelity = measure_faithfulness(
            self.network, card, self.splits.val, device=self.device, max_pixels=self.max_pixels
        )
        if not fidelity.faithful and self.validate_exactly is not None:
            # `score` will compute in float32, so fit and report in float32 as well.
            self._stage("validating in float32")
            val = self.validate_exactly()
            card, fitted = self._decided(val)
        card = replace(card, precision="bf16" if fidelity.faithful else "float32")
        metrics: dict[str, Any] = {"epoch": kept.epoch, "decisions": fitted.to_json(card.classes)}
        reports = {}
        for split, outcome in zip(SPLITS, (kept.train, val), strict=True):
            reports[split] = report(
                outcome.labels,
                outcome.probabilities(temperature=card.temperature),
                threshold=card.decision_threshold,
            )
            metrics[split] = {"loss": outcome.loss, **reports[split].to_json(card.classes)}
        if kept.solved is not None:
            metrics["solved"] = asdict(kept.solved)
        # Rounded: the last digits depend on the number of threads.
        metrics["bf16"] = {**stored(asdict(fidelity)), "largest": round(fidelity.largest, 4)}
        problems = _without_charts()
        if not problems:
            self._stage("drawing charts")
            validation_charts(
                self.out,
                val,
                card,
                figures=reports["val"],
                chosen=self.chosen,
                chart_format=self.chart_format,
            )
        history = self.so_far.history
        finish_run(
            self.out,
            self.network,
            card,
            metrics=metrics,
            history=history,
            charts=not problems,
            chart_format=self.chart_format,
        )
        for write in write_more:
            write(card)
        end_run(self.out)
        unseen = tuple(card.classes[c] for c in without_positives(self.splits.train))
        return TrainReport(
            self.out,
            tuple(history),
            kept.epoch,
            reports,
            unseen,
            card.weights,
            problems,
            solved=kept.solved,
            residual=lambda_of(kept.weights) if "lambda" in self.chosen else None,
        )

    def _stage(self, name: str) -> None:
        if self.on_stage is not None:
            self.on_stage(name)

    def _decided(self, val: SplitOutcome) -> tuple[ModelCard, Decisions]:
        """Fit thresholds and temperature to the validation split; return the card with them.

        The network is the kept epoch's: training chooses a number of some heads with the weights.
        """
        fitted = fit_decisions(
            val.labels,
            val.logits,
            thresholds=self.keeping.thresholds,
            fixed=self.card.threshold,
            calibrate=self.keeping.calibrate,
        )
        card = replace(
            self.card,
            thresholds=fitted.thresholds,
            temperature=fitted.temperature,
            head=head_json(self.network.head),
        )
        return card, fitted


def _without_charts() -> tuple[str, ...]:
    """A line that says why no charts can be drawn; empty if they can."""
    try:
        require_matplotlib()
    except ChartError as error:
        return (f"the run has no charts: {error}",)
    return ()


def generators(*, device: Device) -> list[torch.Tensor]:
    """Get the states of torch's random generators, including the device's."""
    cuda = [torch.cuda.get_rng_state(str(device))] if device.is_gpu else []
    return [torch.get_rng_state(), *cuda]


def set_generators(states: list[torch.Tensor], *, device: Device) -> None:
    """Restore the states that `generators` returned for the same device."""
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state, str(device))
