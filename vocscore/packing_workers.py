"""Workers that pack: processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

import socket
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from platform import python_version_tuple
from typing import TYPE_CHECKING, Any, Final

from shards.errors import Error, PackError
from vocscore.config.packing import ShardsConfig
from vocscore.errors import ScoreError
from vocscore.machine import bound_images, processes_here, usable_cores
from vocscore.workers.dispatch import Dispatcher, Policy
from vocscore.workers.messages import Done
from vocscore.workers.processes import ProcessTransport
from vocscore.workers.shares import share_out
from vocscore.workers.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from typing_extensions import Self

    from shards.packing.units import Result, Unit, Workshop
    from shards.packing.units_run import OpenPool
    from vocscore.config.pack_workers import PackWorkersConfig
    from vocscore.config.packing import PackConfig
    from vocscore.workers.messages import Partial
    from vocscore.workers.transport import Transport

_LIBRARIES: Final = ("vocscore", "numpy", "pillow", "simplejpeg", "pillow-heif", "imagecodecs")
"""They decide whether an image can be used, and what is made of it."""


@dataclass(frozen=True, slots=True)
class PackingJob:
    """A `Job` whose items are units of packing.

    Attributes:
        workshop: what workers need.
        threads: of each worker.
        image_memory: MiB for images, of all workers of a machine.
        cores: of each worker; 0: `processes` tells how many share the memory.
        processes: number of workers, on this machine.
        device: name of the worker, for messages.
        program: version of this program.
    """

    workshop: Workshop
    threads: int
    device: str
    image_memory: int = ShardsConfig.image_memory
    cores: int = 0
    processes: int = 1
    program: str = field(default_factory=partial(version, "vocscore"))

    def open(self) -> PackingWork:
        """Check that this machine sees the folders; called in the worker.

        Raises:
            PackError: it does not.
        """
        try:
            if version("vocscore") != self.program:
                raise PackError(f"vocscore {version('vocscore')} instead of {self.program}.")
            self.workshop.enter()
            sharing = processes_here(self.cores) if self.cores else self.processes
            bound_images(self.image_memory, processes=sharing)
        except Error as error:
            raise PackError(
                f"node {socket.gethostname()}: {error} Every machine needs SRC and SHARDS under "
                "the same paths, and the same vocscore."
            ) from error
        return PackingWork(self.workshop, self.threads)


@dataclass(frozen=True, slots=True)
class PackingWork:
    """The `Work` of one worker.

    Attributes:
        workshop: does units.
        threads: used for each.
        about: see `Work`; there is nothing to choose.
    """

    workshop: Workshop
    threads: int
    about: str = ""

    @property
    def kind(self) -> Mapping[str, str]:
        """See `Work`: the versions of Python and of the decoders."""
        return _versions()

    def run(self, items: Iterator[Any]) -> Generator[Partial | Done]:
        """Check images and write shards."""
        for unit in items:
            yield Done(unit.number, self.workshop.do(unit, workers=self.threads))

    def close(self) -> None:
        """Nothing is open."""


class WorkerPool:
    """A `Pool` of the workers of a transport. Close it.

    Args:
        transport: its workers do `PackingJob`s.
        policy: of the place; its words are set here.
        warn: called with a line about each unit or worker with a problem.
        waiting: see `Dispatcher`.

    Raises:
        PackError: workers die repeatedly, or one does not see the folders.
    """

    def __init__(
        self,
        transport: Transport,
        policy: Policy,
        *,
        warn: Callable[[str], None],
        waiting: Callable[[int], None] | None = None,
    ) -> None:
        """Start the workers."""
        self._warn = warn
        self._out: dict[int, str] = {}  # the units that are handed out: what they are
        words = replace(policy, name=self._name, verbs=("packing", "packed"))
        with _as_pack_error():
            self._dispatcher = Dispatcher(transport, words, notice=self._tell, waiting=waiting)

    def run(self, units: Iterator[Unit]) -> Generator[Result]:
        """Do the units; see `Pool`.

        Raises:
            PackError: workers died too often, or images have changed.
        """
        with _as_pack_error():
            for message, problems in self._dispatcher.run(_Noted(units, self._out)):
                for problem in problems:
                    self._tell(problem)
                if isinstance(message, Done):
                    del self._out[message.number]
                    yield message.value

    def close(self) -> None:
        """End the workers, also in the middle of a unit."""
        self._dispatcher.close()

    def _name(self, number: int) -> str:
        return self._out.get(number, "")

    def _tell(self, line: str) -> None:
        self._warn(f"warning: {line}")


class _Noted:
    """Units, each noted when it is handed out."""

    def __init__(self, units: Iterator[Unit], out: dict[int, str]) -> None:
        self._units = units
        self._out = out

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Unit:
        unit = next(self._units)
        self._out[unit.number] = str(unit)
        return unit


@contextmanager
def _as_pack_error() -> Iterator[None]:
    """Raise what dispatching could not do as an error of packing."""
    try:
        yield
    except ScoreError as error:
        raise PackError(str(error)) from error


def pool_of(
    config: PackConfig, *, stage: Callable[[str], None], warn: Callable[[str], None]
) -> OpenPool | None:
    """What opens the workers that the options ask for; None: one process packs alone.

    Args:
        config: the options.
        stage: called with the name of the stage that begins.
        warn: called with a line about each unit or worker with a problem.
    """
    options, output = config.processes, config.output
    if options.on is not None:
        return partial(_on_cluster, options=options, output=output, stage=stage, warn=warn)
    if options.processes is None:
        return None
    return partial(_processes, processes=options.processes, output=output, stage=stage, warn=warn)


@contextmanager
def _processes(
    workshop: Workshop,
    *,
    processes: int,
    output: ShardsConfig,
    stage: Callable[[str], None],
    warn: Callable[[str], None],
) -> Iterator[WorkerPool]:
    """Start processes of this machine; without `workers`, each has its share of the cores."""
    stage(f"starting {processes} process{'es' if processes > 1 else ''}")
    threads = output.workers or max(1, usable_cores() // processes)
    job = PackingJob(workshop, threads, "", output.image_memory, processes=processes)
    jobs = [replace(job, device=f"process {n}") for n in range(1, processes + 1)]
    transport = ProcessTransport(jobs, advice="fewer `processes` or fewer `workers`")
    with closing(WorkerPool(transport, Policy(wait_for=1), warn=warn)) as pool:
        yield pool


@contextmanager
def _on_cluster(
    workshop: Workshop,
    *,
    options: PackWorkersConfig,
    output: ShardsConfig,
    stage: Callable[[str], None],
    warn: Callable[[str], None],
) -> Iterator[WorkerPool]:
    """Start actors of a Ray cluster; without `workers`, each has one for each of its cores.

    Raises:
        OptionError: there is no such cluster, or it has no room.
    """
    from vocscore.workers.ray_actors import RayTransport
    from vocscore.workers.ray_cluster import RayCluster

    assert options.on is not None
    stage("connecting to Ray")
    cluster = RayCluster(options.on)
    try:
        share = share_out(
            cluster.nodes(),
            device="cpu",
            processes=options.processes,
            cpus=options.cpus_per_process,
        )
        job = PackingJob(
            workshop, output.workers or share.cpus, "actor", output.image_memory, share.cpus
        )
        transport = RayTransport(cluster, job, share)
    except BaseException:
        cluster.close()
        raise
    transport.advice = "more `cpus_per_process` or fewer `workers`"
    stage(f"starting {share.processes} processes of {share.cpus} cores")
    policy = Policy(wait_for=1, twice=True, mixed=options.mixed_machines)
    pool = WorkerPool(transport, policy, warn=warn, waiting=Waiting(stage))
    with closing(pool):
        yield pool


def _versions() -> dict[str, str]:
    return {"Python": ".".join(python_version_tuple()[:2])} | {n: _version(n) for n in _LIBRARIES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
