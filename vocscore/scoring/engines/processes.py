"""Scores units in several processes, one per device; a worker that dies is restarted.

The parent sends units (file names) and receives rows (numbers); no pixels are sent. Each worker has
two units, the current one and the next one, so that decoding does not pause between two units.
Units finish in any order.

Processes are spawned: torch's threads and CUDA do not survive a fork. On a signal to all of them,
such as Ctrl-C in a terminal, only the parent acts; the workers end when it closes their
connections or dies.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections import Counter, deque
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from vocscore.errors import ScoreError
from vocscore.leaving import end_children
from vocscore.scoring.engines import Advance, Finished
from vocscore.scoring.engines.worker import Raised, WorkerReady, work

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from typing_extensions import Self

    from shards.sample import ImageRef
    from vocscore.scoring.engines import Event
    from vocscore.scoring.engines.worker import Opener
    from vocscore.scoring.inputs.units import Unit

    Message = Event | Raised | WorkerReady

_UNITS_IN_HAND = 2
_LIVES = 3
"""The run fails after this many workers died on the same unit, or after one worker died this many
times without finishing a unit in between."""
_SECONDS_TO_END = 5.0
"""Time for all workers together to end; then they are killed."""
_SECONDS_BETWEEN_LOOKS = 2.0
"""Time without a message from any worker after which the parent checks that all are alive."""


class ProcessEngine:
    """An `Engine` of several workers. Close it, or use it in a `with` block.

    Args:
        openers: one per worker.

    Attributes:
        loader: class name of the workers' loaders.

    Raises:
        ScoreError: a worker died repeatedly while loading.
        CheckpointError, DeviceError: raised in a worker by its opener.
    """

    def __init__(self, openers: Sequence[Opener]) -> None:
        """Start the workers and wait until all have loaded."""
        self.loader = ""
        self._returned: deque[Unit] = deque()
        self._deaths: Counter[int] = Counter()  # by the number of the unit
        self._workers: list[_Worker] = []
        try:
            for opener in openers:
                self._workers.append(_Worker(opener))
            self._wait_until_loaded()
        except BaseException:
            self.close()
            raise

    def score(self, units: Iterator[Unit]) -> Generator[Event]:
        """Distribute the units; see `Engine.score`.

        Raises:
            ScoreError: as for `Engine.score`, or workers died too often.
        """
        for worker in self._workers:
            self._hand_out(worker, units)
        while self._returned or any(worker.units for worker in self._workers):
            for worker, message in self._messages():
                if message is None:
                    self._bury(worker)
                elif isinstance(message, Raised):
                    raise message.error from _Elsewhere(message.traceback)
                elif isinstance(message, WorkerReady):
                    self._hand_out(worker, units)
                elif isinstance(message, Advance):
                    yield message
                else:
                    yield self._finish(worker, message)
                    self._hand_out(worker, units)

    def ceilings(self, images: Sequence[ImageRef]) -> None:  # noqa: ARG002 - see `Engine`
        """Return None: workers share cores and disk, so one alone says little about all."""
        return

    def close(self) -> None:
        """End the workers, also in the middle of a unit."""
        for worker in self._workers:
            worker.connection.close()
        deadline = time.monotonic() + _SECONDS_TO_END
        for worker in self._workers:
            worker.end(within=max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        """Return the engine."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the engine, also after an error."""
        self.close()

    def _wait_until_loaded(self) -> None:
        loaded = 0
        while loaded < len(self._workers):
            for worker, message in self._messages():
                if isinstance(message, WorkerReady):
                    self.loader = message.loader
                    loaded += 1
                elif isinstance(message, Raised):
                    raise message.error from _Elsewhere(message.traceback)
                else:
                    self._bury(worker)

    def _messages(self) -> list[tuple[_Worker, Message | None]]:
        """Wait for messages, one from each worker that sent any; None for a worker that died.

        A worker's death does not close its connection if another process has inherited it, so the
        processes are checked as well.
        """
        by_connection = {worker.connection: worker for worker in self._workers}
        while not (ready := wait(by_connection, _SECONDS_BETWEEN_LOOKS)):
            dead = [worker for worker in self._workers if not worker.lives()]
            if dead:
                return [(worker, None) for worker in dead]
        return [(by_connection[c], by_connection[c].receive()) for c in ready]  # type: ignore[index]

    def _hand_out(self, worker: _Worker, units: Iterator[Unit]) -> None:
        """Fill up a worker's units; a unit on which a worker died is scored alone."""
        while len(worker.units) < _UNITS_IN_HAND:
            if any(number in self._deaths for number in worker.units):
                return
            if self._returned and not worker.units:
                unit = self._returned.popleft()
            else:
                fresh = next(units, None)
                if fresh is None:
                    return
                unit = fresh
            worker.hand(unit)

    def _finish(self, worker: _Worker, finished: Finished) -> Finished:
        number = finished.unit.number
        del worker.units[number]
        worker.deaths = 0
        if number not in self._deaths:
            return finished
        problem = (
            f"unit {number}: a worker died while scoring it ({self._deaths[number]} times); "
            "another worker scored it."
        )
        return replace(finished, problems=(*finished.problems, problem))

    def _bury(self, worker: _Worker) -> None:
        """Take a dead worker's units back and restart it.

        Raises:
            ScoreError: it died too often.
        """
        how = worker.end()
        worker.deaths += 1
        self._deaths.update(worker.units.keys())
        self._returned.extend(worker.units.values())
        for unit in worker.units.values():
            if self._deaths[unit.number] >= _LIVES:
                raise _given_up(f"unit {unit.number}: {_LIVES} workers died while scoring it", how)
        if worker.deaths >= _LIVES:
            raise _given_up(f"{worker.opener.device}: its worker died {_LIVES} times", how)
        worker.units = {}
        worker.start()


class _Worker:
    """One process and the units it has.

    Attributes:
        opener: opens its engine.
        connection: the parent's end of the pipe.
        units: units it has, by number, in the order in which they were sent.
        deaths: how often it died since it last finished a unit.
    """

    def __init__(self, opener: Opener) -> None:
        self.opener = opener
        self.units: dict[int, Unit] = {}
        self.deaths = 0
        self.start()

    def start(self) -> None:
        """Start a process; the previous one must have ended."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=work, args=(self.opener, theirs), daemon=True, name="vocscore-worker"
        )
        with theirs, _interrupts_held():
            self._process.start()

    def hand(self, unit: Unit) -> None:
        """Send a unit to it."""
        self.units[unit.number] = unit
        with suppress(OSError):  # it is dead, which `receive` will detect
            self.connection.send(unit)

    def receive(self) -> Message | None:
        """Receive its next message; None if it died."""
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):
            return None
        return message

    def lives(self) -> bool:
        """Whether the process is running."""
        return self._process.is_alive()

    def end(self, *, within: float = _SECONDS_TO_END) -> str:
        """End the process and return how it ended, for messages.

        Args:
            within: seconds after which it is killed, with its child processes.
        """
        self.connection.close()
        self._process.join(within)
        if self._process.exitcode is None:
            assert self._process.pid is not None
            end_children(self._process.pid)
            self._process.kill()
            # With a timeout: a process that waits for a dead disk does not end.
            self._process.join(_SECONDS_TO_END)
        code = self._process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class _Elsewhere(Exception):  # noqa: N818 - not an error, but the place of one
    """Has the traceback of another process."""

    def __str__(self) -> str:
        """Return the traceback, on a new line after the exception's name."""
        return f"\n{self.args[0]}"


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


def _given_up(what: str, how: str) -> ScoreError:
    return ScoreError(
        f"{what} (the last one by {how}; SIGKILL usually means that main memory ran out). Finished "
        "units are kept. Rerun with fewer --devices, fewer --workers or a smaller --batch-size."
    )
