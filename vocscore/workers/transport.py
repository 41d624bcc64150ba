"""Where workers run, as the dispatcher sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vocscore.workers.messages import Item, Message


class Link(Protocol):
    """The driver's end of one worker, which may be started again after it has ended."""

    @property
    def name(self) -> str:
        """The worker, for messages: its device, or its node and process."""

    def start(self) -> None:
        """Start the worker; it reports by `Ready`, soon or when there is room for it."""

    def hand(self, item: Item) -> None:
        """Send it an item; that it is dead is not reported here but by `receive`."""

    def receive(self) -> Message:
        """Return its next message, which `Transport.wait` has announced; `Gone` if it died."""

    def end(self, within: float) -> str:
        """End the worker, also in the middle of an item, and return how it ended, for messages.

        Args:
            within: seconds after which it is killed.
        """


class Transport(Protocol):
    """Some workers in one kind of place."""

    @property
    def links(self) -> Sequence[Link]:
        """The workers, none of which is started yet."""

    @property
    def advice(self) -> str:
        """What to change when workers die too often, as the end of a sentence."""

    def wait(self, seconds: float) -> Sequence[Link]:
        """Wait for messages or deaths of started workers, and return those that have some.

        Args:
            seconds: the longest wait; then nothing is returned.
        """

    def close(self) -> None:
        """End all workers together, and free everything; also after an error."""
