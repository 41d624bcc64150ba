"""Workers as processes of this machine, one per job.

The driver sends items (file names) and receives results (numbers); no pixels are sent.

Processes are spawned: torch's threads and CUDA do not survive a fork. On a signal to all of them,
such as Ctrl-C in a terminal, only the driver acts; the workers end when it closes their
connections or dies.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from vocscore.leaving import end_children
from vocscore.workers.messages import Gone, Raised
from vocscore.workers.worker import Arrivals, run_job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection

    from vocscore.workers.messages import Item, Job, Message

_SECONDS_TO_END = 5.0
"""Time for all workers together to end; then they are killed."""
_SECONDS_BETWEEN_LOOKS = 2.0


class ProcessTransport:
    """A `Transport` with one process per job.

    Args:
        jobs: one per worker.
        advice: see `Transport`.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        *,
        advice: str = "fewer `devices`, fewer `workers` or a smaller `batch_size`",
    ) -> None:
        self.advice = advice
        self.links = [ProcessLink(job) for job in jobs]

    def wait(self, seconds: float) -> Sequence[ProcessLink]:
        """Wait for messages; without any, return the workers that have died.

        A worker's death does not close its connection if another process has inherited it, so the
        processes are checked as well.
        """
        started = [link for link in self.links if link.started]
        by_connection = {link.connection: link for link in started}
        ready = wait(by_connection, seconds)
        return [by_connection[c] for c in ready] or [link for link in started if link.is_dead()]  # type: ignore[index]

    def close(self) -> None:
        """End the workers, also in the middle of an item."""
        started = [link for link in self.links if link.started]
        for link in started:
            link.connection.close()
        deadline = time.monotonic() + _SECONDS_TO_END
        for link in started:
            link.end(within=max(0.0, deadline - time.monotonic()))


class ProcessLink:
    """One process.

    Attributes:
        connection: the driver's end of the pipe.
        started: whether there is a process that was not ended.
    """

    connection: Connection

    def __init__(self, job: Job) -> None:
        self._job = job
        self._missed = False
        self.started = False

    @property
    def name(self) -> str:
        """The worker's device."""
        return self._job.device

    @property
    def process(self) -> int | None:
        """Number of the process."""
        return self._process.pid

    def start(self) -> None:
        """Start a process; the previous one must have ended."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=work, args=(self._job, theirs), daemon=True, name="vocscore-worker"
        )
        self.started, self._missed = True, False
        with theirs, _interrupts_held():
            self._process.start()

    def hand(self, item: Item) -> None:
        """Send it an item."""
        with suppress(OSError):  # it is dead, which `receive` will detect
            self.connection.send(item)

    def receive(self) -> Message:
        """Receive its next message."""
        if self._missed:
            return Gone()
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):
            return Gone()
        return message

    def is_dead(self) -> bool:
        """Whether the process has ended; `receive` then says so."""
        self._missed = not self._process.is_alive()
        return self._missed

    def end(self, within: float = _SECONDS_TO_END) -> str:
        """End the process, with its child processes if it has to be killed."""
        self.connection.close()
        self.started = False
        if self._process.pid is None:  # it could not be started
            return "not started"
        self._process.join(within)
        if self._process.exitcode is None:
            end_children(self._process.pid)
            self._process.kill()
            # With a timeout: a process that waits for a dead disk does not end.
            self._process.join(_SECONDS_TO_END)
        code = self._process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Delay Ctrl-C: a process started in this block never gets it, this process gets it afterwards.

    The mask is for the child, which inherits it. In this process it is not enough: another thread
    may receive the signal, and Python then interrupts the main thread in the middle of a start.
    """
    # Otherwise the first spawn starts the tracker, which unblocks the signals before the child has
    # started (multiprocessing.resource_tracker of Python 3.10 and 3.11).
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    waiting: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # only this one may set handlers
        for number in (signal.SIGINT, signal.SIGTERM):
            handlers[number] = signal.signal(number, lambda got, _frame: waiting.append(got))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for got in waiting[:1]:
            signal.raise_signal(got)


# In the worker's process


def work(job: Job, connection: Connection) -> None:
    """Work until the other end of the connection is closed."""
    # The terminal sends Ctrl-C to every process; only the driver handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    items = Arrivals()
    # Reads all the time, so that neither side ever blocks until the other one reads.
    threading.Thread(target=_read, args=(connection, items), daemon=True).start()
    failed = False

    def send(message: Message) -> None:
        nonlocal failed
        failed = failed or isinstance(message, Raised)
        connection.send(message)

    run_job(job, items, send)
    if failed:
        threading.Event().wait()  # until the driver ends it: a worker that exits would be replaced


def _read(connection: Connection, items: Arrivals) -> None:
    """Receive items; when the driver has gone, end the process immediately."""
    with suppress(EOFError, OSError):
        while _parent_lives():
            if connection.poll(_SECONDS_BETWEEN_LOOKS):
                items.put(connection.recv())
    end_children(os.getpid())
    os._exit(0)


def _parent_lives() -> bool:
    """Whether the parent runs; a closed connection is not enough, other processes may hold it."""
    parent = parent_process()
    return parent is None or parent.pid == os.getppid()
