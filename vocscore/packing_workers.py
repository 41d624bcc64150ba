"""Workers that pack: processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass
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

    from shards.packing.units import Result, Unit, Workshop
    from shards.packing.units_run import OpenPool
    from vocscore.config.packing import ShardsConfig
    from vocscore.workers.messages import Partial

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
    """A `Pool` of the workers of a dispatcher.

    Args:
        dispatcher: its workers do `PackingJob`s.
        warn: called with a line about each unit with a problem.
    """

    def __init__(self, dispatcher: Dispatcher, warn: Callable[[str], None]) -> None:
        self._dispatcher = dispatcher
        self._warn = warn

    def run(self, units: Iterator[Unit]) -> Generator[Result]:
        """Do the units; see `Pool`.

        Raises:
            PackError: workers died too often, or images have changed.
        """
        try:
            for message, problems in self._dispatcher.run(units):
                for problem in problems:
                    self._warn(f"warning: {problem}")
                if isinstance(message, Done):
                    yield message.value
        except ScoreError as error:
            raise PackError(str(error)) from error


def pool_of(config: ShardsConfig, *, warn: Callable[[str], None]) -> OpenPool | None:
    """What opens the workers that the options ask for; None: one process packs alone.

    Args:
        config: the options.
        warn: called with a line about each unit with a problem.
    """
    if config.processes is None:
        return None
    return partial(_processes, processes=config.processes, workers=config.workers, warn=warn)


@contextmanager
def _processes(
    workshop: Workshop, *, processes: int, workers: int | None, warn: Callable[[str], None]
) -> Iterator[WorkerPool]:
    """Start processes of this machine that pack.

    Args:
        workshop: what they need.
        processes: their number.
        workers: threads of each; None: their share of the usable cores.
        warn: called with a line about each unit with a problem.

    Raises:
        PackError: they die repeatedly.
    """
    threads = workers or max(1, usable_cores() // processes)
    jobs = [PackingJob(workshop, threads, f"process {n}") for n in range(1, processes + 1)]
    transport = ProcessTransport(jobs, advice="fewer --processes or fewer --workers")
    with _pool(transport, Policy(wait_for=1, what="unit", verbs=("packing", "packed")), warn) as p:
        yield p


@contextmanager
def _pool(transport: Any, policy: Policy, warn: Callable[[str], None]) -> Iterator[WorkerPool]:
    try:
        dispatcher = Dispatcher(transport, policy, notice=lambda line: warn(f"warning: {line}"))
    except ScoreError as error:
        raise PackError(str(error)) from error
    try:
        yield WorkerPool(dispatcher, warn)
    finally:
        dispatcher.close()


def _versions() -> dict[str, str]:
    return {"Python": ".".join(python_version_tuple()[:2])} | {n: _version(n) for n in _LIBRARIES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
