"""A GPU that is not there: streams, their order, and torch's memory for them, as a simulation.

Work of one stream is done in order, that of several in any order that waiting permits; a seed
chooses. Memory that was freed is used again by the stream that it was allocated on, at once, unless
another stream was recorded for it: then after that stream's work until then. (torch's notes on CUDA
semantics; `Tensor.record_stream`.)
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Event:
    """Passed when the work before it is done."""

    passed = False

    def set(self) -> None:
        self.passed = True


class Stream:
    """A queue of work."""

    def __init__(self, gpu: Gpu) -> None:
        self.queue: deque[tuple[Event | None, Callable[[], None]]] = deque()
        self.free: list[Block] = []
        gpu.streams.append(self)

    def add(self, work: Callable[[], None], *, after: Event | None = None) -> None:
        self.queue.append((after, work))

    def record(self) -> Event:
        event = Event()
        self.add(event.set)
        return event

    def wait_stream(self, other: Stream) -> None:
        self.add(lambda: None, after=other.record())


class Block:
    """Memory for one batch."""

    def __init__(self, owner: Stream) -> None:
        self.owner, self.value, self.used_on = owner, -1, list[Stream]()


class OnGpu:
    """A tensor on the GPU."""

    is_cpu = False

    def __init__(self, gpu: Gpu, block: Block) -> None:
        self.gpu, self.block = gpu, block

    def record_stream(self, stream: Stream) -> None:
        self.block.used_on.append(stream)

    def free(self) -> None:
        self.gpu.free(self.block)


class InMemory:
    """A tensor in main memory."""

    is_cpu = True

    def __init__(self, gpu: Gpu, value: int, *, pinned: bool) -> None:
        self.gpu, self.value, self.pinned = gpu, value, pinned

    def pin_memory(self) -> InMemory:
        return self if self.pinned else InMemory(self.gpu, self.value, pinned=True)

    def to(self, _device: object, *, non_blocking: bool) -> OnGpu:
        assert self.pinned, "the host would wait for the copy"
        assert non_blocking, "the host would wait for the copy"
        block = self.gpu.allocate()
        self.gpu.current.add(lambda: setattr(block, "value", self.value))
        return OnGpu(self.gpu, block)


class Gpu:
    """Has the functions of `torch.cuda` that copying needs."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.streams: list[Stream] = []
        self.main = self.current = Stream(self)
        self.leaving: list[tuple[Block, list[Event]]] = []

    def Stream(self, _device: object) -> Stream:  # noqa: N802 - torch's name
        return Stream(self)

    def current_stream(self, _device: object = None) -> Stream:
        return self.current

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def allocate(self) -> Block:
        for block, events in [*self.leaving]:
            if all(event.passed for event in events):
                self.leaving.remove((block, events))
                block.owner.free.append(block)
        free = self.current.free
        block = free.pop() if free else Block(self.current)
        block.used_on = []
        return block

    def free(self, block: Block) -> None:
        if block.used_on:
            self.leaving.append((block, [stream.record() for stream in block.used_on]))
        else:
            block.owner.free.append(block)

    def network(self, images: OnGpu, results: list[int]) -> None:
        """Work of the current stream that reads a batch."""
        self.current.add(lambda: results.append(images.block.value))

    def work(self, steps: int | None = None) -> None:
        """Do some of what is ready, or all of it."""
        done = 0
        while steps is None or done < steps:
            ready = [
                stream
                for stream in self.streams
                if stream.queue and (stream.queue[0][0] is None or stream.queue[0][0].passed)
            ]
            if not ready:
                break
            _, work = ready[int(self.random.integers(len(ready)))].queue.popleft()
            work()
            done += 1
        assert steps is not None or not any(stream.queue for stream in self.streams), "a deadlock"


def blocks_of(gpu: Gpu) -> int:
    """Blocks that are free, at the end: all that were allocated."""
    left: list[Any] = [block for stream in gpu.streams for block in stream.free]
    return len(left) + len(gpu.leaving)
