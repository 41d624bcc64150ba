"""A thread pool that works ahead of its consumer, in order, and stops when the consumer stops."""

from __future__ import annotations

from collections import deque
from collections.abc import Sized
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, get_ident
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future

Job = TypeVar("Job", bound=Sized)
Result = TypeVar("Result")

# Images per task: enough that the overhead is small (30 microseconds compared with about 8
# milliseconds), few enough that all threads finish at about the same time.
_POSITIONS_A_TASK = 8
# Jobs (batches) started before the consumer requests them: one is returned immediately, two keep
# the threads busy while it is used. More of them if many threads would run out of tasks.
_JOBS_AHEAD = 3
_TASKS_A_THREAD = 2


class OrderedThreadPool:
    """A pool of threads for decoding.

    Args:
        threads: number of threads; each uses one core, regardless of torch's setting.
    """

    def __init__(self, threads: int) -> None:
        """Start the threads."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="vocscore-loader")
        # torch stores a number of threads per thread, and a default for new ones. A worker that
        # sets 1 for itself also changes the default; setting this thread's number again restores
        # the default.
        own = torch.get_num_threads()
        barrier = Barrier(threads)
        started = [self._pool.submit(_be_single, barrier) for _ in range(threads)]
        self._threads = {future.result() for future in started}
        torch.set_num_threads(own)

    def ahead(
        self, jobs: Iterable[Job], *, work: Callable[[Job, int], Result]
    ) -> Generator[tuple[Job, list[Result]]]:
        """Do the work of every job item by item, as `ahead_by_task`.

        Args:
            jobs: taken one by one, when a slot is free.
            work: called with a job and each of 0..len(job)-1, in any thread.
        """

        def run(job: Job, positions: range) -> list[Result]:
            return [work(job, position) for position in positions]

        return self.ahead_by_task(jobs, work=run)

    def ahead_by_task(
        self, jobs: Iterable[Job], *, work: Callable[[Job, range], list[Result]]
    ) -> Generator[tuple[Job, list[Result]]]:
        """Do the work of every job, a few jobs ahead of the consumer.

        The call itself starts the first jobs.

        Args:
            jobs: taken one by one, when a slot is free.
            work: called with a job and some consecutive positions of 0..len(job)-1, in any thread;
                returns a result for each. Its exceptions are raised in the consumer.

        Yields:
            Each job, in order, with its results, in order.
        """
        left = iter(jobs)
        waiting: deque[tuple[Job, list[Future[list[Result]]]]] = deque()
        tasks = 0
        while len(waiting) < _JOBS_AHEAD or tasks < _TASKS_A_THREAD * len(self._threads):
            job = next(left, None)
            if job is None:
                break
            waiting.append((job, self._submit(job, work)))
            tasks += len(waiting[-1][1])
        return self._collected(waiting, left, work)

    def _collected(
        self,
        waiting: deque[tuple[Job, list[Future[list[Result]]]]],
        left: Iterator[Job],
        work: Callable[[Job, range], list[Result]],
    ) -> Generator[tuple[Job, list[Result]]]:
        try:
            for job in left:
                waiting.append((job, self._submit(job, work)))
                yield _collect(*waiting.popleft())
            while waiting:
                yield _collect(*waiting.popleft())
        finally:
            for _, futures in waiting:
                for future in futures:
                    future.cancel()

    def _submit(
        self, job: Job, work: Callable[[Job, range], list[Result]]
    ) -> list[Future[list[Result]]]:
        starts = range(0, len(job), _POSITIONS_A_TASK)
        ends = (min(at + _POSITIONS_A_TASK, len(job)) for at in starts)
        return [
            self._pool.submit(work, job, range(*span)) for span in zip(starts, ends, strict=True)
        ]

    def close(self) -> None:
        """Wait for the running tasks, drop the others, and end the threads."""
        # A thread cannot wait for its own end, and garbage collection may run `close` in one.
        wait = get_ident() not in self._threads
        self._pool.shutdown(wait=wait, cancel_futures=True)


def _be_single(barrier: Barrier) -> int:
    torch.get_num_threads()  # a thread's first use of torch copies the default, even a later one
    torch.set_num_threads(1)
    barrier.wait()  # so that each thread of the pool gets one of these tasks
    return get_ident()


def _collect(job: Job, futures: list[Future[list[Result]]]) -> tuple[Job, list[Result]]:
    return job, [result for future in futures for result in future.result()]
