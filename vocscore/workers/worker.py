"""The worker's side: opens a job, works on the items that arrive, sends messages."""

from __future__ import annotations

import pickle
import queue
import traceback
from contextlib import closing
from typing import TYPE_CHECKING, Any

from vocscore.workers.messages import Raised, Ready

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

    from vocscore.workers.messages import Job, Message


class Arrivals:
    """The items sent to this worker: an iterator that blocks until the next one arrives."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def put(self, item: Any) -> None:
        """Add an item."""
        self._queue.put(item)

    def stop(self) -> None:
        """End the iteration after the queued items; otherwise a thread would wait forever."""
        self._queue.put(None)

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> Any:
        """Wait for the next item."""
        item = self._queue.get()
        if item is None:
            self.stop()  # so that later calls end, too
            raise StopIteration
        return item


def run_job(job: Job, items: Iterator[Any], send: Callable[[Message], None]) -> None:
    """Open a job and work on items until they end; an error is sent as the last message."""
    try:
        with closing(job.open()) as work:
            send(Ready(work.about, dict(work.kind)))
            for message in work.run(items):
                send(message)
    except BrokenPipeError:
        return  # the driver has gone
    except Exception as error:  # noqa: BLE001 - any exception is raised again in the driver
        send(Raised(_sendable(error), traceback.format_exc()))


def _sendable(error: Exception) -> Exception:
    """Return the error itself, or its text if it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made a moment ago
    except Exception:  # noqa: BLE001 - a class may break pickling in any way
        return RuntimeError(repr(error))
    return error
