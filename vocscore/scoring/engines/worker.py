"""One worker process: receives units over a connection, scores them, sends back events."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
import traceback
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Protocol

from vocscore.leaving import end_children

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from typing_extensions import Self

    from vocscore.scoring.engines.local import LocalEngine
    from vocscore.scoring.inputs.units import Unit

_SECONDS_BETWEEN_LOOKS = 2.0


class Units:
    """The units sent to this worker: an iterator that blocks until the next one arrives."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()

    def put(self, unit: Unit) -> None:
        """Add a unit."""
        self._queue.put(unit)

    def stop(self) -> None:
        """End the iteration after the queued units; otherwise a thread would wait forever."""
        self._queue.put(None)

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> Unit:
        """Wait for the next unit."""
        unit = self._queue.get()
        if unit is None:
            self.stop()  # so that later calls end, too
            raise StopIteration
        return unit


class Opener(Protocol):
    """Opens a worker's engine; can be pickled and sent to another process."""

    @property
    def device(self) -> str:
        """The device it will use, for messages."""

    def open(self) -> LocalEngine:
        """Load the network and open the loader; called in the worker's process."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker has loaded everything.

    Attributes:
        loader: class name of its loader.
    """

    loader: str


@dataclass(frozen=True, slots=True)
class Raised:
    """An error of a worker's engine; the parent raises it again.

    Attributes:
        error: the exception.
        traceback: its traceback as text, for unexpected errors.
    """

    error: BaseException
    traceback: str


def work(opener: Opener, connection: Connection) -> None:
    """Work until the other end of the connection is closed."""
    # The terminal sends Ctrl-C to every process; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    units = Units()
    # Reads all the time, so that neither side ever blocks until the other one reads.
    threading.Thread(target=_read, args=(connection, units), daemon=True).start()
    try:
        with closing(opener.open()) as engine:
            connection.send(WorkerReady(engine.loader))
            for event in engine.score(units):
                connection.send(event)
    except BrokenPipeError:
        return  # the parent has gone
    except Exception as error:  # noqa: BLE001 - any exception is raised again in the parent
        connection.send(Raised(_sendable(error), traceback.format_exc()))
        threading.Event().wait()  # until the parent ends it: a worker that exits would be replaced


def _read(connection: Connection, units: Units) -> None:
    """Receive units; when the parent has gone, end the process immediately."""
    with suppress(EOFError, OSError):
        while _parent_lives():
            if connection.poll(_SECONDS_BETWEEN_LOOKS):
                units.put(connection.recv())
    end_children(os.getpid())
    os._exit(0)


def _parent_lives() -> bool:
    """Whether the parent runs; a closed connection is not enough, other processes may hold it."""
    parent = parent_process()
    return parent is None or parent.pid == os.getppid()


def _sendable(error: Exception) -> Exception:
    """Return the error itself, or its text if it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made a moment ago
    except Exception:  # noqa: BLE001 - a class may break pickling in any way
        return RuntimeError(repr(error))
    return error
