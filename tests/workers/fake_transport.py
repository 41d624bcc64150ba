"""A transport in simulated time: workers are rules, seconds pass in no time."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

from vocscore.workers.messages import Done, Gone, Partial, Raised, Ready


@dataclass(frozen=True)
class Piece:
    """An item; it takes `seconds` of a worker, and kills it after `seconds` if it is deadly."""

    number: int
    seconds: float = 1.0
    deadly: bool = False


class FakeLink:
    """A worker that takes `loads` seconds to start, and `slow` times as long for a piece."""

    def __init__(self, world, name, *, loads=1.0, slow=1.0, kind=None):
        self.world, self.name, self.loads, self.slow = world, name, loads, slow
        self.kind = kind or {}
        self.life = 0  # what was set going in an earlier life does not happen
        self.queue = []
        self.inbox = []
        self.handed = []
        self.alive = self.loaded = False

    def start(self):
        assert not self.alive
        self.life += 1
        self.alive, self.loaded, self.queue, self.inbox = True, False, [], []
        if self.loads is not None:  # None: there is no room for it
            self.later(self.loads, self.load)

    def load(self):
        self.loaded = True
        self.say(Ready("loader", self.kind))

    def hand(self, item):
        assert self.loaded, "handed before it was ready"
        self.handed.append((self.world.now, item.number))
        self.queue.append(item)
        assert len(self.queue) <= 2
        if len(self.queue) == 1:
            self.begin()

    def begin(self):
        piece = self.queue[0]
        half = piece.seconds * self.slow / 2
        self.later(half, lambda: self.say(Partial(piece.number, self.name)))
        self.later(2 * half, lambda: self.finish(piece))

    def finish(self, piece):
        if piece.deadly:
            self.die()
            return
        self.queue.pop(0)
        self.say(Done(piece.number, (self.name, piece.number)))
        if self.queue:
            self.begin()

    def die(self, node=""):
        self.life += 1
        self.inbox.append(Gone(node))

    def fail(self, error):
        self.say(Raised(error, "its traceback"))

    def say(self, message):
        self.inbox.append(message)

    def later(self, seconds, what):
        life = self.life
        self.world.at(self.world.now + seconds, lambda: what() if self.life == life else None)

    def receive(self):
        return self.inbox.pop(0)

    def end(self, within):
        self.life += 1
        self.alive = self.loaded = False
        self.inbox = []
        return "SIGKILL"


class FakeTransport:
    """Workers in simulated time."""

    advice = "less"

    def __init__(self, *workers):
        """Each is a dictionary of arguments of `FakeLink`."""
        self.now = 0.0
        self._ids = itertools.count()
        self._events = []
        self.links = [FakeLink(self, f"worker {i}", **w) for i, w in enumerate(workers)]
        self.closed = False

    def at(self, when, what):
        """Let something happen."""
        heapq.heappush(self._events, (when, next(self._ids), what))

    def wait(self, seconds):
        until = self.now + seconds
        while not (speaking := [link for link in self.links if link.alive and link.inbox]):
            if not self._events or self._events[0][0] > until:
                self.now = until
                assert self.now < 10_000, "nothing happens any more"
                return []
            self.now, _, what = heapq.heappop(self._events)
            what()
        return speaking

    def close(self):
        self.closed = True
