"""What a worker has to say, collected until it is fetched: progress rarely, results at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from vocscore.workers.messages import Partial

if TYPE_CHECKING:
    from vocscore.workers.messages import Message

_SECONDS_BETWEEN_PROGRESS = 1.0
"""A thousand workers that each report every batch would keep a driver busy with answers."""


class Outbox:
    """Messages on their way; of the progress of an item only the last."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._progress: dict[int, Partial] = {}
        self._urgent: list[Message] = []

    def put(self, message: Message) -> None:
        """Add a message."""
        with self._changed:
            if isinstance(message, Partial):
                self._progress[message.number] = message
                return
            self._urgent.append(message)
            self._changed.notify()

    def take(self) -> list[Message]:
        """Wait for something to say, and return all of it."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: bool(self._urgent), _SECONDS_BETWEEN_PROGRESS)
                if self._urgent or self._progress:
                    taken = [*self._progress.values(), *self._urgent]
                    self._progress, self._urgent = {}, []
                    return taken
