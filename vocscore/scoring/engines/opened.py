"""Opens the engine that a configuration asks for: in this process, in several, or on a cluster."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vocscore.config.tta import sizes_of
from vocscore.device import Device
from vocscore.machine import usable_cores
from vocscore.pipeline.gpu_engines import described_gpu
from vocscore.runtime import resolve_device
from vocscore.runtime.auto_precision import Chosen, Wanted, choose_precision
from vocscore.scoring.engines.batching import CPU_GROUP
from vocscore.scoring.engines.cluster import open_cluster, seen_files
from vocscore.scoring.engines.factory import EngineOpener, open_workers, resolve_devices
from vocscore.scoring.engines.local import LocalEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.config.scoring import ScoreConfig
    from vocscore.models.card import ModelCard
    from vocscore.scoring.engines.processes import WorkerEngine
    from vocscore.scoring.inputs.units import Inputs


@dataclass(frozen=True, slots=True)
class OpenedEngine:
    """An engine and what it was opened with.

    Attributes:
        engine: it has loaded; on a cluster, its first worker has.
        devices: how many of this machine are used.
        opener: with the device and the precision that are used.
        machine: what the last bits of the rows depend on, on a cluster; empty elsewhere.
        notices: filled during the run: machines of the cluster that are of another kind.
        reason: why this precision, if `auto` had a choice; else ''.
        processes: how many were started without being asked for, and why; None: none.
    """

    engine: LocalEngine | WorkerEngine
    opener: EngineOpener
    devices: int = 1
    machine: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    reason: str = ""
    processes: str | None = None

    @property
    def chosen(self) -> str | None:
        """The precision that `auto` took and why, for the summary; None if it had no choice."""
        return f"{self.opener.precision}, {self.reason}" if self.reason else None

    @property
    def described(self) -> dict[str, dict[str, str]]:
        """What it adds to the plan of a run."""
        return {"machine": self.machine} if self.machine else {}

    @property
    def gpu(self) -> str | None:
        """The GPU of this process and its JPEG engines; None if it does not use one itself."""
        if not isinstance(self.engine, LocalEngine) or not Device.parse(self.opener.device).is_gpu:
            return None
        return described_gpu(self.opener.device)


def open_engine(
    config: ScoreConfig,
    card: ModelCard,
    *,
    checkpoint: Path,
    identity: str,
    inputs: Inputs,
    stage: Callable[[str], None],
    begun: str | None = None,
) -> OpenedEngine:
    """Open an engine.

    Args:
        config: the options.
        card: card of the model.
        checkpoint: its folder.
        identity: its hash.
        inputs: what will be scored.
        stage: called with the name of the stage that begins.
        begun: precision of the run that is continued; see `Wanted`.

    Raises:
        CheckpointError, DeviceError, ScoreError, OptionError: it cannot be opened.
    """
    if config.cluster.on is not None:
        template = _template(config, checkpoint=checkpoint, identity=identity)
        wanted = _wanted(config, card, images=inputs.images, begun=begun)
        return _on_cluster(template, config, card, wanted, inputs=inputs, stage=stage)
    return open_here(
        config,
        card,
        checkpoint=checkpoint,
        identity=identity,
        images=inputs.images,
        begun=begun,
    )


def open_here(
    config: ScoreConfig,
    card: ModelCard,
    *,
    checkpoint: Path,
    identity: str,
    images: int | None = None,
    begun: str | None = None,
) -> OpenedEngine:
    """Open an engine on this machine.

    Args:
        config: as for `open_engine`, like those that are not named here.
        card: of the model.
        checkpoint: its folder.
        identity: its hash.
        images: number of images that will be scored; None: unknown.
        begun: as for `open_engine`.
    """
    compute = config.compute
    several = resolve_devices(compute.devices)
    where = several[0] if several else resolve_device(compute.device)
    wanted = _wanted(config, card, images=images, begun=begun)
    chosen = choose_precision(wanted, card, folder=checkpoint, identity=identity, device=where)
    template = _template(config, checkpoint=checkpoint, identity=identity)
    opener = replace(template, device=where, precision=chosen.precision, int8=chosen.int8)
    engine = open_workers(opener, several) if several else opener.open()
    return OpenedEngine(engine, opener, max(1, len(several)), reason=chosen.reason)


def _wanted(
    config: ScoreConfig, card: ModelCard, *, images: int | None, begun: str | None
) -> Wanted:
    return Wanted(
        config.compute.precision,
        CPU_GROUP,
        images=images,
        features=config.output.features is not None,
        sizes=len(sizes_of(config.compute.views, card.preprocess.size)),
        begun=begun,
    )


def _template(config: ScoreConfig, *, checkpoint: Path, identity: str) -> EngineOpener:
    """Return an opener whose device and precision are as given, for example 'auto'."""
    compute = config.compute
    return EngineOpener(
        checkpoint=checkpoint,
        identity=identity,
        loader=compute.loader,
        device=compute.device,
        precision=compute.precision,
        batch_size=config.decode.batch_size,
        threads=compute.workers or usable_cores(),
        max_pixels=config.decode.max_pixels,
        image_memory=compute.image_memory,
        features=config.output.features is not None,
        tta=compute.views,
    )


def _on_cluster(
    template: EngineOpener,
    config: ScoreConfig,
    card: ModelCard,
    wanted: Wanted,
    *,
    inputs: Inputs,
    stage: Callable[[str], None],
) -> OpenedEngine:
    notices: list[str] = []
    found: list[Chosen] = []

    def settled(engine: EngineOpener) -> EngineOpener:
        """Decide here on int8; between bf16 and float32 every machine decides."""
        of_machines = wanted.precision in ("bf16", "float32") or wanted.begun == "bf16"
        if of_machines or Device.parse(engine.device).is_gpu:
            return engine
        chosen = choose_precision(
            wanted, card, folder=engine.checkpoint, identity=engine.identity, device=engine.device
        )
        found.append(chosen)
        decided = chosen.precision == "int8" or wanted.begun is not None
        return replace(engine, precision=chosen.precision, int8=chosen.int8) if decided else engine

    engine = open_cluster(
        replace(
            template, checkpoint=template.checkpoint.absolute(), threads=config.compute.workers or 0
        ),
        config.cluster,
        sees=seen_files(inputs, config.inputs.unit_size),
        settled=settled,
        notice=notices.append,
        stage=stage,
    )
    machine = dict(engine.kind)
    device = "cuda" if "GPU" in machine else "cpu"
    chosen = found[0] if found else Chosen("float32")
    opener = replace(template, device=device, precision=machine.pop("precision"), int8=chosen.int8)
    del machine["vocscore"]  # both are in the plan anyway
    if config.cluster.mixed_machines:
        machine = dict.fromkeys(machine, "any")
    return OpenedEngine(engine, opener, machine=machine, notices=notices, reason=chosen.reason)
