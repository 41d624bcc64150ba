"""Workers as actors of a Ray cluster.

Plain actors: Ray neither starts them again nor repeats a call, since the dispatcher decides that.
The driver has one open question to each, `receive`, and a worker whose question fails is dead to
the driver, whatever it still does: nobody asks it again, so it has no way to the output.
"""

from __future__ import annotations

import atexit
import os
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vocscore.errors import ScoreError
from vocscore.leaving import end_children
from vocscore.workers.messages import Gone, Raised
from vocscore.workers.outbox import Outbox
from vocscore.workers.worker import Arrivals, run_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vocscore.workers.messages import Item, Job, Message
    from vocscore.workers.ray_cluster import RayCluster
    from vocscore.workers.shares import Share

_CALLS_AT_ONCE = 3
_SECONDS_TO_LOOK = 2.0
"""Time in which the loss of a machine becomes known, after its processes have died."""


class RayTransport:
    """A `Transport` whose workers are actors of equal shares.

    Args:
        cluster: `close` closes it.
        job: of every worker.
        share: what each may use.
    """

    advice = "more `cpus_per_process`, fewer `workers` or a smaller `batch_size`"

    def __init__(self, cluster: RayCluster, job: Job, share: Share) -> None:
        import ray

        self._cluster = cluster
        actor = ray.remote(RayWorker).options(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=_CALLS_AT_ONCE,
            scheduling_strategy="SPREAD",
        )
        reference = ray.put(job)
        self.links = [RayLink(actor, reference, number) for number in range(share.processes)]

    def wait(self, seconds: float) -> Sequence[RayLink]:
        """Wait for answers."""
        import ray

        if speaking := [link for link in self.links if link.inbox]:
            return speaking
        asked = {link.answer: link for link in self.links if link.answer is not None}
        if ray.wait(list(asked), timeout=seconds)[0]:
            for answer in ray.wait(list(asked), num_returns=len(asked), timeout=0)[0]:
                asked[answer].take()
        return [link for link in self.links if link.inbox]

    def close(self) -> None:
        """End the workers, and leave the cluster."""
        for link in self.links:
            link.end(0)
        self._cluster.close()


class RayLink:
    """One actor.

    Attributes:
        inbox: messages that were fetched.
        answer: the question that is open; None while there is no actor.
    """

    def __init__(self, actor: Any, job: Any, number: int) -> None:
        self._class = actor
        self._job = job
        self._number = number
        self._actor: Any = None
        self._place: Place | None = None
        self._how = ""
        self.inbox: deque[Message] = deque()
        self.answer: Any = None

    @property
    def name(self) -> str:
        """The machine and the process."""
        return f"worker {self._number}" if self._place is None else str(self._place)

    @property
    def process(self) -> int | None:
        """Number of the process, on its machine."""
        return None if self._place is None else self._place.process

    @property
    def node(self) -> str | None:
        """Ray's name of the machine."""
        return None if self._place is None else self._place.node

    def start(self) -> None:
        """Ask for an actor; it starts when the cluster has room."""
        self._place, self._how = None, ""
        self._actor = self._class.remote(self._job)
        self.answer = self._actor.receive.remote()

    def hand(self, item: Item) -> None:
        """Send it an item."""
        self._actor.put.remote(item)

    def receive(self) -> Message:
        """Return its next message."""
        return self.inbox.popleft()

    def take(self) -> None:
        """Fetch the answer that is there, and ask again."""
        import ray

        try:
            place, messages = ray.get(self.answer)
        except ray.exceptions.RayTaskError:
            raise  # a fault of `receive` itself
        except ray.exceptions.RayError as error:
            self.answer, self._how = None, _last_line(error)
            if getattr(error, "actor_init_failed", False):  # as it would another time
                self.inbox.append(Raised(_cannot_start(self._how), str(error)))
                return
            self.inbox.append(Gone(self._lost_node(error)))
            return
        self._place = place
        self.inbox.extend(messages)
        self.answer = self._actor.receive.remote()

    def end(self, within: float) -> str:  # noqa: ARG002 - an actor is always killed at once
        """Kill the actor."""
        import ray

        if self._actor is not None:
            with suppress(ray.exceptions.RayError, ValueError, ConnectionError):
                ray.kill(self._actor, no_restart=True)
        self._actor = self.answer = None
        self.inbox.clear()
        return self._how

    def _lost_node(self, error: Exception) -> str:
        """The machine that was lost; '' if only the process died, and its work may be to blame."""
        import ray

        place = f"node {self._place.host}" if self._place else "a node"
        # Its process may live, but it cannot be reached; or what it answered was lost.
        unreachable = not isinstance(error, ray.exceptions.ActorDiedError)
        if unreachable or getattr(error, "preempted", False):
            return place
        if self._place is None:
            return place if "node" in self._how and "died" in self._how else ""
        deadline = time.monotonic() + _SECONDS_TO_LOOK
        while time.monotonic() < deadline:
            if not any(one["Alive"] and one["NodeID"] == self._place.node for one in ray.nodes()):
                return place
            time.sleep(_SECONDS_TO_LOOK / 8)
        return ""


def _last_line(error: Exception) -> str:
    """What Ray says of a death, without its advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].partition(" Some common causes")[0][:300].rstrip(".") if lines else repr(error)


def _cannot_start(how: str) -> ScoreError:
    return ScoreError(
        f"a process on the cluster cannot start: {how}. Its machines need the same versions of "
        "vocscore and Python as this one: install them there, or in their image."
    )


# In the worker's process


class Place:
    """Where an actor is.

    Attributes:
        node: Ray's name of the machine.
        host: its own name.
        process: number of the process.
    """

    def __init__(self, node: str) -> None:
        self.node = node
        self.host = socket.gethostname()
        self.process = os.getpid()

    def __str__(self) -> str:
        """Return it for messages."""
        return f"node {self.host}, process {self.process}"


def _leave() -> None:
    end_children(os.getpid())
    os._exit(0)


class RayWorker:
    """The actor: works in a thread of its own, while calls bring items and fetch messages."""

    def __init__(self, job: Job) -> None:
        import ray

        self._place = Place(ray.get_runtime_context().get_node_id())
        self._items = Arrivals()
        self._outbox = Outbox()
        arguments = (job, self._items, self._outbox.put)
        threading.Thread(target=run_job, args=arguments, daemon=True).start()
        # When Ray ends the process, Python would wait for the threads of the engine, which wait for
        # items: before that, leave at once.
        getattr(threading, "_register_atexit", atexit.register)(_leave)

    def put(self, item: Any) -> None:
        """Add an item."""
        self._items.put(item)

    def receive(self) -> tuple[Place, list[Message]]:
        """Wait for messages, and return them."""
        return self._place, self._outbox.take()
