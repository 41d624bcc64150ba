"""Scores units on the machines of a cluster."""

from __future__ import annotations

import os
import posixpath
import socket
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from shards.errors import Error, Reason
from vocscore.errors import ScoreError
from vocscore.machine import processes_here, settle_threads
from vocscore.scoring.engines.processes import WorkerEngine
from vocscore.scoring.engines.worker import ScoringWork
from vocscore.workers.dispatch import Policy
from vocscore.workers.kind import kind_of
from vocscore.workers.messages import Done
from vocscore.workers.shares import share_out
from vocscore.workers.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from vocscore.config.cluster import ClusterConfig
    from vocscore.scoring.engines import Event
    from vocscore.scoring.engines.factory import EngineOpener
    from vocscore.scoring.engines.local import LocalEngine
    from vocscore.scoring.inputs.units import Inputs, Unit
    from vocscore.workers.messages import Partial


@dataclass(frozen=True, slots=True)
class ClusterOpener:
    """Opens the engine of a process on a machine of the cluster.

    Attributes:
        engine: opens the engine; its precision is as asked for, and resolved on the machine.
        cores: CPU cores of a process.
        sees: files that every machine must see.
        program: version of this program.
    """

    engine: EngineOpener
    cores: int
    sees: tuple[str, ...]
    program: str

    @property
    def device(self) -> str:
        """The device of the engine."""
        return self.engine.device

    @property
    def kind(self) -> Mapping[str, str]:
        """The machine, the libraries and the arithmetic."""
        return kind_of(device=self.device, precision=self._resolved().precision)

    def open(self) -> LocalEngine:
        """Open the engine with the threads of its share, which Ray does not limit.

        Raises:
            ScoreError: this machine has another version, or does not see the inputs; every image
                would be an error row.
        """
        if version("vocscore") != self.program:
            raise ScoreError(f"vocscore {version('vocscore')} instead of {self.program}.")
        for path in self.sees:
            if not os.path.exists(path):  # noqa: PTH110 - as units join them
                raise ScoreError(f"{path}: not found.")
        settle_threads()
        import torch

        torch.set_num_threads(self.cores)
        return self._resolved().open()

    def sight_is_lost(self) -> bool:
        """Whether the folder of a file that was seen is gone or empty, as without its mount."""
        return not all(os.path.exists(p) or _has_files(posixpath.dirname(p)) for p in self.sees)  # noqa: PTH110

    def _resolved(self) -> EngineOpener:
        """The opener with this machine's arithmetic, and its share of the memory for images."""
        from vocscore.models.card_file import load_card
        from vocscore.runtime import resolve_device
        from vocscore.runtime.precision import resolve_precision

        device = resolve_device(self.engine.device)
        card = load_card(self.engine.checkpoint)
        precision = resolve_precision(self.engine.precision, card, device=device)
        memory = max(1, self.engine.image_memory // processes_here(self.cores))
        return replace(self.engine, device=device, precision=precision, image_memory=memory)


@dataclass(frozen=True, slots=True)
class ClusterJob:
    """A `Job` whose items are units; its errors name the machine.

    Attributes:
        opener: opens the engine.
    """

    opener: ClusterOpener

    @property
    def device(self) -> str:
        """The device of the engine."""
        return self.opener.device

    def open(self) -> ClusterWork:
        """Open the engine in a worker.

        Raises:
            ScoreError: the machine does not fit, or does not see the files.
        """
        try:
            return ClusterWork(self.opener)
        except (Error, OSError) as error:
            raise ScoreError(
                f"node {socket.gethostname()}: {error} Every machine of the cluster needs the "
                "model and the images under the same paths, and the same vocscore."
            ) from error


class ClusterWork(ScoringWork):
    """The `Work` of one engine on a machine that may lose sight of the inputs.

    Args:
        opener: opens it.
    """

    def __init__(self, opener: ClusterOpener) -> None:
        super().__init__(opener)
        self._opener = opener

    def run(self, items: Iterator[Any]) -> Generator[Partial | Done]:
        """Score units; if images are gone, look whether all of them are.

        Raises:
            ScoreError: the machine no longer sees the inputs.
        """
        for message in super().run(items):
            if isinstance(message, Done) and self._opener.sees:
                failures = message.value.rows.failures.values()
                gone = any(fault.reason == Reason.VANISHED for fault in failures)
                if gone and self._opener.sight_is_lost():
                    raise ScoreError(
                        f"node {socket.gethostname()}: no longer sees the images. Finished units "
                        "are kept: mount them again, and rerun the same command."
                    )
            yield message


def _has_files(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


class ClusterEngine(WorkerEngine):
    """A `WorkerEngine` whose units name files by absolute paths."""

    def score(self, units: Iterator[Unit]) -> Generator[Event]:
        """Distribute the units; see `Engine.score`."""
        return super().score(_absolute(unit) for unit in units)


def open_cluster(
    template: EngineOpener,
    config: ClusterConfig,
    *,
    sees: Sequence[str],
    settled: Callable[[EngineOpener], EngineOpener],
    notice: Callable[[str], None],
    stage: Callable[[str], None],
) -> ClusterEngine:
    """Start workers on a Ray cluster, and wait until one of them is ready.

    Args:
        template: with the device and the precision as asked for; its threads are those of a
            worker, 0 for one per core of its share.
        config: the cluster and the shares; `on` is given.
        sees: files that every machine must see.
        settled: decides what is the same on all machines, when the device is known.
        notice: see `Dispatcher`.
        stage: called with the name of the stage that begins.

    Raises:
        ScoreError, OptionError: there is no such cluster, it has no room, or a machine of it does
            not fit.
    """
    from vocscore.workers.ray_actors import RayTransport
    from vocscore.workers.ray_cluster import RayCluster

    assert config.on is not None
    stage("connecting to Ray")
    cluster = RayCluster(config.on)
    try:
        share = share_out(
            cluster.nodes(),
            device=template.device,
            processes=config.processes,
            cpus=config.cpus_per_process,
            gpus=config.gpus_per_process,
        )
        device = "cuda:0" if share.gpus else "cpu"  # Ray shows a process only its own GPUs
        engine = settled(replace(template, device=device, threads=template.threads or share.cpus))
        opener = ClusterOpener(engine, share.cpus, tuple(sees), version("vocscore"))
        transport = RayTransport(cluster, ClusterJob(opener), share)
    except BaseException:
        cluster.close()
        raise
    stage(f"loading the model in {share.processes} processes of {share.cpus} cores")
    policy = Policy(wait_for=1, twice=True, mixed=config.mixed_machines)
    return ClusterEngine(transport, policy, notice=notice, waiting=Waiting(stage))


def seen_files(inputs: Inputs, unit_size: int) -> tuple[str, ...]:
    """A file of the inputs that every machine must see; none if they are not on a file system."""
    unit: Any = next(iter(inputs.units(unit_size)), None)
    if unit is None:
        return ()
    names = getattr(unit, "names", None)
    path = posixpath.join(_rooted(unit.root), names[0] if names else unit.name)
    return (path,) if os.path.exists(path) else ()  # noqa: PTH110 - may be a URL


def _absolute(unit: Any) -> Unit:
    """A unit that means the same in any folder."""
    found: Unit = replace(unit, root=_rooted(unit.root))
    return found


def _rooted(root: str) -> str:
    return root if "://" in root else os.path.abspath(root)  # noqa: PTH100 - '' is this folder
