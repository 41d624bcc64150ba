"""Scores a stream of images, a bounded number ahead of the consumer.

The caller's own thread reads its iterable, and only while it waits for a result: a generator may
use thread-local objects, and its exceptions are raised where it was called.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from threading import Lock, Thread, get_ident
from typing import TYPE_CHECKING

from vocscore.scoring.engines import Finished
from vocscore.scoring.engines.prefetch import Prefetcher
from vocscore.scoring.inputs.units import Contents

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from vocscore.api.inputs import Entry
    from vocscore.scoring.engines import Engine, Event
    from vocscore.scoring.output.rows import Rows

UNIT_SIZE = 2048
"""Default images per unit of `vocscore score`: a new batch starts there."""
LARGEST_CHUNK = 256
"""Chunk size for a list or a folder: 64 took no more time per image."""
LARGEST_OF_A_STREAM = 64
"""Chunk size for an iterator, which may be slow."""
MOST_BYTES = 256 << 20
"""Memory of images in one chunk: 64 arrays of 1000 x 1333 pixels."""
CHUNKS_AHEAD = 3
"""Chunks in progress: one decoding, one after it, one whose results are awaited."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of images: a `Unit` that is already read.

    Attributes:
        entries: one per row.
        number: its unique place among the units of its engine.
    """

    entries: Sequence[Entry]
    number: int = 0

    @property
    def weight(self) -> int:
        """Images."""
        return len(self.entries)

    def read(self) -> Contents:
        """Return the image references."""
        return Contents([entry.ref for entry in self.entries])


class Jobs(deque["Prefetcher[Event]"]):
    """The chunks in progress of one stream, in order."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # as an object, for a WeakSet

    def __init__(self) -> None:
        super().__init__()
        self._ending = Lock()

    def close(self, job: Prefetcher[Event]) -> None:
        """Close one; two threads at once cannot."""
        with self._ending:
            job.close()

    def end(self) -> None:
        """End them from another thread than the stream's own.

        If the stream is being advanced at this moment, it has to end them itself.
        """
        for job in list(self):
            with suppress(RuntimeError):  # its own thread uses it at this moment
                self.close(job)


def cut(entries: Iterator[Entry], *, group: int, patient: bool) -> Iterator[list[Entry]]:
    """Cut images into chunks, small ones first, so that the first result comes soon.

    Files of one list share batches as in `vocscore score`: chunks are whole batches, and a new one
    starts at each of its units. Only images that use much memory end a chunk elsewhere.

    Args:
        entries: in order. Their exceptions are raised after the last chunk.
        group: the network's batch size.
        patient: as for `scored`.
    """
    most = (LARGEST_OF_A_STREAM if patient else LARGEST_CHUNK) // group * group
    taken: list[Entry] = []
    held = rows = 0
    size = group
    try:
        for entry in entries:
            if entry.starts:
                if taken:
                    yield taken
                taken, held, rows = [], 0, 0
            taken.append(entry)
            held += entry.nbytes
            rows += 1
            if len(taken) >= size or held >= MOST_BYTES or rows % UNIT_SIZE == 0:
                yield taken
                taken, held = [], 0
                size = max(group, min(2 * size, most))
    except Exception:
        if taken:  # these precede the exception, and so do their results
            yield taken
        raise
    if taken:
        yield taken


def scored(
    chunks: Iterator[list[Entry]],
    engine: Callable[[], Engine],
    *,
    patient: bool,
    running: Jobs,
) -> Generator[tuple[Chunk, Rows]]:
    """Score chunks in their order.

    Each is a finite job of its own, so no thread ever waits for the caller: a program can end with
    unconsumed results.

    Args:
        chunks: at most `CHUNKS_AHEAD` are read ahead of their results.
        engine: opens one for a chunk; several run at the same time.
        patient: the chunks may be slow: read fewer ahead of the first results.
        running: holds the chunks in progress.

    Raises:
        Exception: from `chunks`, after the results of the chunks before.
        ScoreError: from the engine.
    """
    left: Iterator[list[Entry]] | None = chunks
    failure: Exception | None = None
    finished, taker, process = 0, get_ident(), os.getpid()
    try:
        while left is not None or running:
            ahead = min(1 + finished, CHUNKS_AHEAD) if patient else CHUNKS_AHEAD
            while left is not None and len(running) < ahead:
                try:
                    entries = next(left, None)
                except Exception as error:  # noqa: BLE001 - raised below, in its place
                    entries, failure = None, error
                if entries is None:
                    left = None
                else:
                    running.append(Prefetcher(engine().score(iter([Chunk(entries)])), depth=1))
            if running:
                yield _finished(running[0])
                running.close(running.popleft())
                finished, taker = finished + 1, get_ident()
    finally:
        if process == os.getpid():  # a fork has none of the threads
            _close(running, waiting=taker == get_ident())
    if failure is not None:
        raise failure


def _finished(events: Iterator[Event]) -> tuple[Chunk, Rows]:
    done = next(event for event in events if isinstance(event, Finished))
    for problem in done.problems:
        warnings.warn(problem, RuntimeWarning, stacklevel=2)
    assert isinstance(done.unit, Chunk)
    return done.unit, done.rows


def _close(running: Jobs, *, waiting: bool) -> None:
    """End jobs whose results are no longer needed.

    Args:
        running: the jobs.
        waiting: wait until they have ended. Not if the garbage collector closes the generator: it
            may do so in a thread of one of these jobs, which cannot wait for itself.
    """
    if waiting:
        with ExitStack() as ends:
            for job in reversed(running):
                ends.callback(running.close, job)
    elif not sys.is_finalizing():  # else the threads have ended, and a new one would never start
        for job in running:
            with suppress(RuntimeError):  # no thread can be started at interpreter shutdown
                Thread(target=running.close, args=[job], daemon=True).start()
