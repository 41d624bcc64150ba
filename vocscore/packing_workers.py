"""Workers that pack: processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

import socket
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from platform import python_version_tuple
from typing import TYPE_CHECKING, Any, Final

from shards.errors import Error, PackError
from vocscore.errors import ScoreError
from vocscore.machine import usable_cores
from vocscore.workers.dispatch import Dispatcher, Policy
from vocscore.workers.messages import Done
from vocscore.workers.processes import ProcessTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from typing_extensions import Self

    from shards.packing.units import Result, Unit, Workshop
    from shards.packing.units_run import OpenPool
    from vocscore.config.packing import ShardsConfig
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
        device: name of the worker, for messages.
    """

    workshop: Workshop
    threads: int
    device: str = "process"

    def open(self) -> PackingWork:
        """Check that this machine sees the folders; called in the worker.

        Raises:
            PackError: it does not.
        """
        try:
            self.workshop.enter()
        except Error as error:
            raise PackError(
                f"node {socket.gethostname()}: {error} Every machine needs SRC and SHARDS under "
                "the same paths."
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

    Raises:
        PackError: workers die repeatedly, or one does not see the folders.
    """

    def __init__(
        self, transport: Transport, policy: Policy, *, warn: Callable[[str], None]
    ) -> None:
        """Start the workers."""
        self._warn = warn
        self._out: dict[int, str] = {}  # the units that are handed out: what they are
        words = replace(policy, name=self._name, verbs=("packing", "packed"))
        with _as_pack_error():
            self._dispatcher = Dispatcher(transport, words, notice=self._tell)

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
    config: ShardsConfig, *, stage: Callable[[str], None], warn: Callable[[str], None]
) -> OpenPool | None:
    """What opens the workers that the options ask for; None: one process packs alone.

    Args:
        config: the options.
        stage: called with the name of the stage that begins.
        warn: called with a line about each unit with a problem.
    """
    if config.processes is None:
        return None
    return partial(
        _processes, processes=config.processes, workers=config.workers, stage=stage, warn=warn
    )


@contextmanager
def _processes(
    workshop: Workshop,
    *,
    processes: int,
    workers: int | None,
    stage: Callable[[str], None],
    warn: Callable[[str], None],
) -> Iterator[WorkerPool]:
    """Start processes of this machine; without `workers`, each has its share of the cores."""
    stage(f"starting {processes} process{'es' if processes > 1 else ''}")
    threads = workers or max(1, usable_cores() // processes)
    jobs = [PackingJob(workshop, threads, f"process {n}") for n in range(1, processes + 1)]
    transport = ProcessTransport(jobs, advice="fewer --processes or fewer --workers")
    with closing(WorkerPool(transport, Policy(wait_for=1), warn=warn)) as pool:
        yield pool


def _versions() -> dict[str, str]:
    return {"Python": ".".join(python_version_tuple()[:2])} | {n: _version(n) for n in _LIBRARIES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
